"""Windows of words: which pieces the model reads, and where each word begins."""

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tagging.windows import (
    OVERLAP,
    lead_of_words,
    stride_of,
    windows_of,
)
from keras_transformer.zoo.tagging.words import joined, words_of
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary

TEXTS = ["the unhappy ship sailed", "happy ships sail unhappily on", "na\u00efve ships"] * 3


def learned(kind, size=60):
    config = TokenizerConfig(kind=kind)
    return Tokenizer(config, learn_vocabulary(TEXTS, size, config) if size else ())


@pytest.fixture(scope="module")
def tokenizers():
    kinds = {"wordpiece": 60, "characters": 60, "sentencepiece": 300, "bytes": 0}
    return {kind: learned(kind, size) for kind, size in kinds.items()}


@pytest.mark.parametrize("kind", ["wordpiece", "characters", "sentencepiece", "bytes"])
def test_a_short_row_has_one_window_of_the_words_pieces(tokenizers, kind):
    tokenizer = tokenizers[kind]
    words = ["unhappy", "ship", "zq\u00e9"]
    [window] = windows_of(tokenizer, [joined(words)], 64).windows
    lead = " " if kind in ("characters", "bytes") else ""
    pieces = [tokenizer.model.ids(lead + word) for word in words]
    expected = [tokenizer.cls_id, *sum(pieces, []), tokenizer.sep_id]
    np.testing.assert_array_equal(window.ids, expected)
    np.testing.assert_array_equal(window.words, [0, 1, 2])
    places = np.cumsum([1, len(pieces[0]), len(pieces[1])])
    np.testing.assert_array_equal(window.positions, places)


@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece"])
def test_words_of_a_text_are_read_as_the_text_is(tokenizers, kind):
    """Encoding words one by one gives the ids that training on whole texts would see."""
    tokenizer = tokenizers[kind]
    for text in TEXTS:
        [window] = windows_of(tokenizer, [words_of(text)], 64).windows
        np.testing.assert_array_equal(window.ids, tokenizer.encode([text], max_length=64).ids[0])


def test_byte_pairs_see_a_space_before_each_word():
    pieces = (*SPECIAL_TOKENS, "a", "b", "\u0120", "\u0120a", "ab", "\u0120ab")
    ids = {piece: i for i, piece in enumerate(pieces)}
    merges = [("\u0120", "a"), ("\u0120a", "b")]
    vocabulary = Vocabulary(pieces, merges=[(ids[a], ids[b]) for a, b in merges])
    tokenizer = Tokenizer(TokenizerConfig(kind="bpe"), vocabulary)
    assert lead_of_words(tokenizer) == " "
    [window] = windows_of(tokenizer, [joined(["ab", "b", "a"])], 16).windows
    spaced = [ids["\u0120ab"], ids["\u0120"], ids["b"], ids["\u0120a"]]
    np.testing.assert_array_equal(window.ids[1:-1], spaced)
    np.testing.assert_array_equal(window.positions, [1, 2, 4])


def test_every_word_of_a_long_row_is_read_once_with_context(tokenizers):
    tokenizer = tokenizers["wordpiece"]
    rng = np.random.default_rng(0)
    known = ["unhappily", "ship", "on", "sailed", "zqz"]
    rows = [joined(rng.choice(known, count).tolist()) for count in (0, 1, 7, 40, 100)]
    length = 16
    found = windows_of(tokenizer, rows, length)
    for number, row in enumerate(rows):
        windows = [window for window in found.windows if window.row == number]
        read = np.concatenate([window.words for window in windows]) if windows else np.array([])
        np.testing.assert_array_equal(np.sort(read), np.arange(len(row.places)))
        for window in windows:
            assert len(window.ids) <= length
            for word, place in zip(window.words, window.positions, strict=True):
                pieces = tokenizer.model.ids(row.words[word])
                np.testing.assert_array_equal(window.ids[place : place + len(pieces)], pieces)
        for window in windows[1:]:
            assert min(window.positions) > 1, "a word at an edge is read in the window before"
    counts = [sum(window.row == number for window in found.windows) for number in range(len(rows))]
    assert counts[:2] == [0, 1] and counts[4] > counts[3] > 1
    pieces = sum(len(tokenizer.model.ids(word)) for word in rows[4].words)
    assert counts[4] <= np.ceil(pieces / ((length - 2) * (1 - OVERLAP) - 4)) + 1
    assert found.num_split == sum(count > 1 for count in counts)
    assert found.truncated == [False] * len(rows)


def test_a_word_longer_than_the_model_is_cut_and_flagged(tokenizers):
    found = windows_of(tokenizers["bytes"], [joined(["a", "b" * 50, "c"]), joined(["a"])], 12)
    assert found.truncated == [True, False]
    read = np.concatenate([window.words for window in found.windows if window.row == 0])
    np.testing.assert_array_equal(np.sort(read), [0, 1, 2])
    assert max(map(len, found.columns["ids"])) == 12


def test_a_word_that_vanishes_is_not_read(tokenizers):
    rows = [joined(["ship", "\u00ad", "sail"]), joined(["\u00ad"])]
    found = windows_of(tokenizers["wordpiece"], rows, 16)
    assert (found.num_unread, len(found.windows)) == (2, 1)
    outputs = [np.arange(16 * 3, dtype="float32").reshape(16, 3)]
    scores, is_read, *_ = found.outputs(outputs, 3)
    assert [row.tolist() for row in is_read] == [[True, False, True], [False]]
    positions = found.windows[0].positions
    np.testing.assert_array_equal(scores[0][[0, 2]], outputs[0][positions])
    np.testing.assert_array_equal(scores[0][1], 0)
    [targets] = found.targets([np.array([2, 1, 0]), np.array([1])], -1)
    expected = np.full(len(found.columns["ids"][0]), -1)
    expected[positions] = [2, 0]
    np.testing.assert_array_equal(targets, expected)


def test_a_length_without_room_is_refused(tokenizers):
    with pytest.raises(InputError, match="max_length=2"):
        windows_of(tokenizers["bytes"], [joined(["a"])], 2)


@pytest.mark.parametrize("stride", [1, 5, 9, 13])
def test_windows_have_as_many_tokens_in_common_as_the_stride_says(tokenizers, stride):
    """A byte and its space are a word of two tokens: the strides are rounded down to whole ones."""
    row, length = joined(list("abcdefgh" * 9)), 16
    found = windows_of(tokenizers["bytes"], [row], length, stride).windows
    room, step = (length - 2) // 2, (length - 2) // 2 - stride // 2
    texts = [tuple(window.ids[1:-1]) for window in found]
    ids = [i for word in row.words for i in tokenizers["bytes"].model.ids(f" {word}")]
    starts = range(0, len(row.words) - room + step, step)
    expected = [ids[2 * first : 2 * (first + room)] for first in starts]
    # The last window begins as early as it can.
    assert texts[:-1] == [tuple(part) for part in expected[: len(texts) - 1]]
    assert list(texts[-1]) == ids[-len(texts[-1]) :]
    read = np.sort(np.concatenate([window.words for window in found]))
    np.testing.assert_array_equal(read, np.arange(len(row.words)))


def test_a_stride_leaves_room(tokenizers):
    with pytest.raises(InputError, match="^Expected stride to be below 14, .* got stride=14.$"):
        windows_of(tokenizers["bytes"], [joined(["a"])], 16, 14)
    for stride in (-1, 2.0, True, "8", 2**31):
        with pytest.raises(InputError, match=f"^Expected stride .* got stride={stride!r}.$"):
            stride_of({"stride": stride})
    assert stride_of({}) == 0
