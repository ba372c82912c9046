"""Windows of questions and contexts: pieces, segments, and the targets of answers."""

import numpy as np
import pytest

from keras_transformer.zoo.answering.windows import (
    BEGINS,
    ENDS,
    MAY_BEGIN,
    MAY_END,
    MOST_OF_A_QUESTION,
    question_windows,
)
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tagging.words import words_of
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary

CONTEXT = "the unhappy ship sailed on, unhappily"


@pytest.fixture(scope="module")
def tokenizer():
    config = TokenizerConfig(kind="wordpiece")
    texts = [CONTEXT, "who sailed the ship"] * 3
    return Tokenizer(config, learn_vocabulary(texts, 60, config))


def test_a_short_context_is_read_as_a_pair_of_texts(tokenizer):
    question, context = "who sailed?", words_of(CONTEXT)
    found = question_windows(tokenizer, [question], [context], 64)
    expected = tokenizer.encode([question], [CONTEXT], max_length=64)
    [window] = found.windows
    np.testing.assert_array_equal(window.ids, expected.ids[0])
    np.testing.assert_array_equal(window.segment_ids, expected.segment_ids[0])
    np.testing.assert_array_equal(window.words, np.arange(len(context.places)))
    for word, start, end in zip(context.words, window.starts, window.ends, strict=True):
        assert window.ids[start : end + 1].tolist() == tokenizer.model.ids(word)
    assert found.truncated == [False] and found.num_split == 0


def test_targets_stand_at_the_ends_of_an_answer_in_its_window(tokenizer):
    [window] = question_windows(tokenizer, ["who?"], [words_of(CONTEXT)], 64).windows
    codes = window.targets((1, 2))
    for bit, places in (
        (MAY_BEGIN, [0, *window.starts]), (MAY_END, [0, *window.ends]),
        (BEGINS, [window.starts[1]]), (ENDS, [window.ends[2]]),
    ):  # fmt: skip
        np.testing.assert_array_equal(np.flatnonzero(codes & bit), sorted(places))
    for nothing in (None, (1, 40)):
        codes = window.targets(nothing)
        assert np.flatnonzero(codes & BEGINS).tolist() == [0]
        assert np.flatnonzero(codes & ENDS).tolist() == [0]


def test_each_window_of_a_long_context_has_the_whole_question(tokenizer):
    context = words_of(" ".join([CONTEXT] * 8))
    asked = tokenizer.model.ids("who sailed?")
    found = question_windows(tokenizer, ["who sailed?"] * 2, [words_of("ship"), context], 24)
    long = [window for window in found.windows if window.row == 1]
    assert len(long) > 2 and found.num_split == 1
    for window in long:
        assert len(window.ids) <= 24
        assert window.ids[1 : 1 + len(asked)].tolist() == asked
        for word, start, end in zip(window.words, window.starts, window.ends, strict=True):
            pieces = tokenizer.model.ids(context.words[word])
            assert window.ids[start : end + 1].tolist() == pieces
    read = np.unique(np.concatenate([window.words for window in long]))
    np.testing.assert_array_equal(read, np.arange(len(context.places)))
    for one, other in zip(long, long[1:], strict=False):
        assert set(one.words) & set(other.words)


def test_what_is_cut_is_flagged(tokenizer):
    long = "who " * (MOST_OF_A_QUESTION + 1)
    contexts = [words_of("ship")] * 2
    found = question_windows(tokenizer, [long, "who?"], contexts, 256)
    assert found.truncated == [True, False]
    assert len(found.windows[0].ids) == MOST_OF_A_QUESTION + 3 + len(tokenizer.model.ids("ship"))
    assert question_windows(tokenizer, ["who?"], [words_of(" ")], 64).windows == []
    with pytest.raises(InputError, match="max_length=4"):
        question_windows(tokenizer, ["who?"], contexts[:1], 4)


def test_a_stride_is_the_overlap_in_tokens(tokenizer):
    words = "ship " * 60
    asked = tokenizer.model.ids("who sailed?")
    size = len(tokenizer.model.ids("ship"))
    for stride in (2 * size, 5 * size):
        found = question_windows(tokenizer, ["who sailed?"], [words_of(words)], 40, stride).windows
        kept = (40 - 3 - len(asked)) // size
        for one, other in zip(found[:-2], found[1:-1], strict=True):
            assert len(set(one.words) & set(other.words)) == stride // size
            assert len(one.words) == kept
    # A question may take half of the 37 tokens beside the special ones.
    with pytest.raises(InputError, match="^Expected stride to be below 19, .* got stride=19.$"):
        question_windows(tokenizer, ["who?"], [words_of(words)], 40, 19)
