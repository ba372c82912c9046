"""Drawn words: all pieces of one together, their share, and what stands in their place."""

import dataclasses

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.masking.masking import Masking, most_masked
from keras_transformer.zoo.masking.words import WordRules
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig

PIECES = [*(f"w{i}" for i in range(30)), *(f"##p{i}" for i in range(30))]
TOKENIZER = Tokenizer(TokenizerConfig(), (*SPECIAL_TOKENS, *PIECES))
MASK = 4


def rows(count=400, length=60, seed=0):
    rng = np.random.default_rng(seed)
    return [np.array([2, *rng.integers(5, 65, length), 3], np.int32) for _ in range(count)]


def masking(share=0.15):
    return Masking(tokenizer=TOKENIZER, share=share)


def test_the_share_and_the_kinds_of_what_stands_there():
    given = rows()
    ids, targets = masking().masked(given, np.random.default_rng(0))
    before, after, wanted = (np.concatenate(part) for part in (given, ids, targets))
    chosen = wanted != -1
    # Words have two pieces here on average; those that would exceed the share are not drawn.
    assert 0.12 < chosen.mean() < 0.15
    np.testing.assert_array_equal(wanted[chosen], before[chosen])
    np.testing.assert_array_equal(after[~chosen], before[~chosen])
    is_mask, is_kept = after[chosen] == MASK, after[chosen] == before[chosen]
    # Of some 3,300 drawn pieces: five standard deviations are 0.035 and 0.026.
    assert abs(is_mask.mean() - 0.8) < 0.035
    assert abs(is_kept.mean() - 0.1 - 0.1 / 60) < 0.026
    assert after[chosen][~is_mask].min() >= 5
    for row, one in zip(given, targets, strict=True):
        assert 1 <= np.count_nonzero(one != -1) <= most_masked(0.15, len(row))
        assert one[0] == one[-1] == -1


def test_all_pieces_of_a_word_are_drawn_together():
    given = rows()
    _, targets = masking().masked(given, np.random.default_rng(0))
    for row, one in zip(given, targets, strict=True):
        words, drawn = WordRules(TOKENIZER).numbers(row), one != -1
        for word in np.unique(words):
            assert len(set(drawn[words == word].tolist())) == 1


def test_each_word_is_as_likely_as_others_wherever_it_stands():
    row = np.array([2, *range(5, 25), 3], np.int32)
    _, targets = masking().masked([row] * 3000, np.random.default_rng(0))
    shares = (np.array(targets) != -1).mean(axis=0)
    # 450 of 3,000: a standard deviation is 0.0065.
    np.testing.assert_allclose(shares[1:-1], 0.15, atol=0.033)


def test_a_row_of_one_long_word_has_a_single_piece():
    long = np.array([2, 5, *[40] * 10, 3], np.int32)
    for seed in range(20):
        _, [targets] = masking().masked([long], np.random.default_rng(seed))
        assert np.count_nonzero(targets != -1) == 1
    _, [nothing] = masking().masked([np.array([2, 3, 3], np.int32)], np.random.default_rng(0))
    assert (nothing == -1).all()


def test_replacements_are_always_others():
    given = rows()
    ids, targets = masking().replaced(given, np.random.default_rng(0))
    before, after, wanted = (np.concatenate(part) for part in (given, ids, targets))
    other = after != before
    np.testing.assert_array_equal(wanted > 0, other)
    np.testing.assert_array_equal(wanted[other], before[other] + 1)
    np.testing.assert_array_equal(wanted == -1, before < 5)
    assert after.min() >= 2 and 0.12 < other.mean() < 0.15


def test_the_same_generator_draws_the_same():
    def drawn(seed):
        return np.concatenate(masking().masked(rows(), np.random.default_rng(seed))[0])

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert (drawn(1) != drawn(2)).any()


def test_a_tokenizer_without_masks():
    special = dataclasses.replace(SpecialTokens(), mask=None)
    tokenizer = Tokenizer(TokenizerConfig(special=special), (*SPECIAL_TOKENS, *PIECES))
    with pytest.raises(InputError, match="^Expected a tokenizer with a token for masked words"):
        Masking(tokenizer=tokenizer, share=0.15)
