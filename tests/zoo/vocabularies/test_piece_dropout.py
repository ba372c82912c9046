"""Piece dropout: every cut spells its word, the rate decides how often, the seed decides which."""

import collections
import itertools

import numpy as np
import pytest

from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, SPECIAL_TOKENS, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.tokenizers.unigram import best_path
from keras_transformer.zoo.vocabularies.piece_dropout import PieceDropout

PIECES = ("a", "b", "ab", "abab", "##a", "##b", "##ab", "c", "cab")
VOCABULARY = (*SPECIAL_TOKENS, *PIECES)
TEXTS = ["abab", "ab abab", "cab", "x", "", "cb"] * 20


def spelled(row):
    return "".join(VOCABULARY[i].removeprefix("##") for i in row)


@pytest.fixture
def plain():
    return Tokenizer(TokenizerConfig(), VOCABULARY)


@pytest.fixture
def unigram():
    fixed = (*SPECIAL_TOKENS, *BYTE_PIECES)
    scores = {"▁": -3.0, "a": -3.2, "b": -3.4, "ab": -3.6, "▁ab": -3.9, "bab": -5.1, "▁abab": -5.0}
    vocabulary = Vocabulary((*fixed, *scores), (0.0,) * len(fixed) + tuple(scores.values()))
    return Tokenizer(TokenizerConfig(kind="sentencepiece"), vocabulary)


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


def test_the_same_seed_gives_the_same_cuts(plain, unigram):
    for tokenizer in (plain, unigram):
        sampled = PieceDropout(tokenizer, 0.5)
        sampled.seed(3, 1, "source")
        first = sampled.pieces(TEXTS)
        sampled.seed(3, 1, "target")
        assert sampled.pieces(TEXTS) != first
        sampled.seed(3, 1, "source")
        assert sampled.pieces(TEXTS) == first
        other = PieceDropout(tokenizer, 0.5)
        other.seed(3, 1, "source")
        assert other.pieces(TEXTS) == first


def test_most_probable_pieces_without_dropout(unigram):
    assert PieceDropout(unigram, 0.0).pieces(TEXTS) == unigram.pieces(TEXTS)


def test_every_cut_of_probable_pieces_spells_its_text(unigram):
    sampled = PieceDropout(unigram, 0.5)
    for _ in range(5):
        rows = sampled.pieces(TEXTS)
        assert [sampled.decode(row) for row in rows] == TEXTS


def test_cuts_are_as_frequent_as_if_every_piece_was_drawn(unigram):
    """Against drawing all pieces of the word, passed over or not, for each of them at once."""
    rate, draws = 0.4, 20_000
    word = "▁abab"
    edges = unigram.model.edges(word)
    longer = [edge for row in edges for edge in row if edge.end > edge.start + 1]
    expected = collections.Counter()
    for kept in itertools.product((True, False), repeat=len(longer)):
        dropped = [edge for edge, keep in zip(longer, kept, strict=True) if not keep]
        probability = (1 - rate) ** sum(kept) * rate ** len(dropped)
        expected[tuple(i for e in best_path(edges, dropped) for i in e.ids)] += probability
    assert len(expected) == 8
    rows = PieceDropout(unigram, rate).pieces(["abab"] * draws)
    found = collections.Counter(map(tuple, rows))
    assert set(found) == set(expected)
    for cut, probability in expected.items():
        # Four standard deviations.
        error = 4 * (probability * (1 - probability) / draws) ** 0.5
        assert abs(found[cut] / draws - probability) < error


def test_sequences_are_sampled_too(unigram):
    sampled = PieceDropout(unigram, 0.5)
    sampled.seed(0)
    pieces = sampled.pieces(TEXTS)
    sampled.seed(0)
    encoded = sampled.encode_sequences(TEXTS, max_length=20, begin=True)
    assert [row.tolist() for row in encoded.ids] == [[2, *row, 3] for row in pieces]


def test_epochs_differ_and_each_is_repeatable_and_resumable(plain):
    tokenizer = PieceDropout(plain, 0.5)

    def sample(epoch):
        tokenizer.seed(0, epoch)
        return Batches({"ids": tokenizer.encode(TEXTS, max_length=16).ids}, batch_tokens=64)

    batches = SampledBatches(sample)
    first, again = list(batches.epoch(1)), list(batches.epoch(1))
    other = list(batches.epoch(2))
    ids = [[batch.inputs["ids"] for batch in epoch] for epoch in (first, again, other)]
    assert all(np.array_equal(a, b) for a, b in zip(ids[0], ids[1], strict=True))
    assert sum(a.sum() for a in ids[0]) != sum(a.sum() for a in ids[2])
    rest = [batch.inputs["ids"] for batch in batches.epoch(1, start=2)]
    assert all(np.array_equal(a, b) for a, b in zip(ids[0][2:], rest, strict=True))
    rows = np.concatenate([batch.index for batch in other])
    assert sorted(rows) == list(range(len(TEXTS)))


@pytest.mark.parametrize(
    "kind, vocabulary", [("bytes", ()), ("characters", (*SPECIAL_TOKENS, "a"))]
)
def test_only_words_have_pieces_to_drop(kind, vocabulary):
    tokenizer = Tokenizer(TokenizerConfig(kind=kind), vocabulary)
    message = f"Expected piece_dropout to be 0 for a {kind} tokenizer, got piece_dropout=0.5."
    with pytest.raises(InputError, match=f"^{message}$"):
        PieceDropout(tokenizer, 0.5)
    assert PieceDropout(tokenizer, 0.0).pieces(TEXTS) == tokenizer.pieces(TEXTS)
