"""Piece dropout: every cut spells its word, the rate decides how often, the seed decides which."""

import numpy as np
import pytest

from keras_transformer.zoo.data import Examples
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.sampling import PieceDropout, SampledBatches
from keras_transformer.zoo.tokenizer import SPECIAL_TOKENS, Tokenizer, TokenizerConfig

PIECES = ("a", "b", "ab", "abab", "##a", "##b", "##ab", "c", "cab")
VOCABULARY = (*SPECIAL_TOKENS, *PIECES)
TEXTS = ["abab", "ab abab", "cab", "x", "", "cb"] * 20


def spelled(row):
    return "".join(VOCABULARY[i].removeprefix("##") for i in row)


@pytest.fixture
def plain():
    return Tokenizer(TokenizerConfig(), VOCABULARY)


def test_without_dropout_it_is_the_plain_tokenizer(plain):
    assert PieceDropout(plain, 0.0).pieces(TEXTS) == plain.pieces(TEXTS)


def test_every_cut_spells_the_same_words_and_cuts_differ(plain):
    sampled = PieceDropout(plain, 0.5)
    rows = sampled.pieces(TEXTS)
    assert [spelled(row) for row in rows] == [spelled(row) for row in plain.pieces(TEXTS)]
    cuts = {tuple(VOCABULARY[i] for i in row) for row in rows[::6]}
    assert ("abab",) in cuts
    assert ("a", "##b", "##a", "##b") in cuts or ("ab", "##ab") in cuts


def test_a_cut_that_leads_nowhere_falls_back_to_the_longest_pieces():
    tokenizer = Tokenizer(TokenizerConfig(), (*SPECIAL_TOKENS, "c", "cx"))
    # "c" can be chosen, but nothing continues it with "x".
    assert PieceDropout(tokenizer, 0.9).pieces(["cx"] * 50) == [[6]] * 50


def test_the_rate_is_the_probability_of_passing_over(plain):
    rows = PieceDropout(plain, 0.3).pieces(["ab"] * 20_000)
    share = np.mean([len(row) == 2 for row in rows])
    # Four standard deviations of 20,000 draws.
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / 20_000) ** 0.5


def recipe(**changes):
    values = {"model": "bert_tiny", "train": "-", "validation": "-", "piece_dropout": 0.5}
    return Recipe(**{**values, **changes})


def examples():
    targets = np.arange(len(TEXTS), dtype=np.int32) % 2
    return Examples(texts=TEXTS, pairs=None, targets=targets, labels=["n", "y"], path="-", lines=[])


def test_epochs_differ_and_each_is_repeatable_and_resumable(plain):
    batches = SampledBatches(plain, examples(), recipe(batch_tokens=64))
    first, again = list(batches.epoch(1)), list(batches.epoch(1))
    other = list(batches.epoch(2))
    assert all(np.array_equal(a.ids, b.ids) for a, b in zip(first, again, strict=True))
    assert sum(b.ids.sum() for b in first) != sum(b.ids.sum() for b in other)
    rest = list(batches.epoch(1, start=2))
    assert all(np.array_equal(a.ids, b.ids) for a, b in zip(first[2:], rest, strict=True))
    rows = np.concatenate([batch.index for batch in other])
    assert sorted(rows) == list(range(len(TEXTS)))


def test_bytes_have_no_pieces_to_drop():
    with pytest.raises(InputError, match="got piece_dropout=0.5"):
        SampledBatches(Tokenizer(TokenizerConfig(kind="bytes")), examples(), recipe())
