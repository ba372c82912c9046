"""Spans from logits: the best one of all windows, its probability, and no answer."""

import numpy as np
import pytest

from keras_transformer.zoo.answering.answers import (
    MOST_WORDS,
    AnswerOutputs,
    answer_outputs,
    answer_predictions,
)
from keras_transformer.zoo.answering.windows import QuestionWindow, QuestionWindows
from keras_transformer.zoo.outputs import ANSWERS, OUTPUTS
from keras_transformer.zoo.tagging.words import words_of


def window(row, words):
    """A window of words of two pieces each, behind one special token."""
    count = len(words)
    starts = 1 + 2 * np.arange(count)
    return QuestionWindow(
        row, np.zeros(2 * count + 2, np.int32), np.zeros(2 * count + 2, np.int32),
        np.array(words), starts, starts + 1,
    )  # fmt: skip


def test_the_best_span_is_the_best_of_all_pairs_in_all_windows():
    rng = np.random.default_rng(0)
    context = words_of(" ".join(f"w{i}" for i in range(12)))
    windows = [window(0, range(7)), window(0, range(5, 12))]
    for _ in range(30):
        logits = [rng.normal(size=(16, 2)) * 3 for _ in windows]
        outputs = answer_outputs(QuestionWindows(windows, [context], [False]), logits, None)
        totals, begins, ends = {}, [], []
        for one, values in zip(windows, logits, strict=True):
            begin, end = values[one.starts, 0], values[one.ends, 1]
            begins += [*begin, values[0, 0]]
            ends += [*end, values[0, 1]]
            for i, first in enumerate(one.words):
                for j, last in enumerate(one.words[i:], start=i):
                    key = int(first), int(last)
                    totals[key] = max(totals.get(key, -np.inf), begin[i] + end[j])
        (first, last), best = max(totals.items(), key=lambda item: item[1])
        [answer] = OUTPUTS[ANSWERS]((), outputs)
        assert answer.text == " ".join(context.words[first : last + 1])
        assert context.text[answer.start : answer.end] == answer.text
        score = np.exp(best) / np.exp(begins).sum() / np.exp(ends).sum()
        assert answer.score == pytest.approx(score)
        nothing = min(values[0].sum() for values in logits)
        assert outputs.candidates[0].margin == pytest.approx(nothing - best)


def test_an_answer_has_at_most_so_many_words():
    count = MOST_WORDS + 5
    context = words_of(" ".join(f"w{i}" for i in range(count)))
    logits = np.zeros((2 * count + 2, 2))
    logits[1, 0] = logits[2 * count, 1] = 9.0
    windows = QuestionWindows([window(0, range(count))], [context], [False])
    [one] = answer_outputs(windows, [logits], None).candidates
    assert one.last - one.first < MOST_WORDS and one.logit == 9.0


@pytest.mark.parametrize(("threshold", "text"), [(None, "a"), (3.0, "a"), (1.9, "")])
def test_above_the_threshold_there_is_no_answer(threshold, text):
    logits = np.zeros((4, 2))
    logits[0] = 1.0
    windows = QuestionWindows([window(0, [0])], [words_of("a")], [True])
    [answer] = answer_predictions((), answer_outputs(windows, [logits], threshold))
    assert answer.text == text and answer.truncated
    share = (np.e / (1 + np.e)) ** 2 if not text else (1 / (1 + np.e)) ** 2
    assert answer.score == pytest.approx(share)
    assert (answer.start is None) == (not text)


def test_a_context_without_words_has_no_answer():
    outputs = AnswerOutputs([None], [words_of(" ")], [False], None)
    assert answer_predictions((), outputs) == [("", None, None, 0.0, False)]
