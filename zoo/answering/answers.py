"""The most probable span of a context that answers a question, or that there is none."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_transformer.zoo.answering.windows import NOWHERE, QuestionWindows
from keras_transformer.zoo.tagging.words import Words

# Words of an answer (Devlin et al. 2018, in pieces).
MOST_WORDS = 30


class Answer(NamedTuple):
    """The answer to one question.

    Attributes:
        text: the answer as it stands in the context; empty for none.
        start, end: range of its characters in the context; None for none.
        score: probability of its first word times that of its last one, over all windows.
        truncated: whether the question, or a word of the context, was cut.
    """

    text: str
    start: int | None
    end: int | None
    score: float
    truncated: bool


class Candidate(NamedTuple):
    """The best span of a context, and what speaks for none.

    Attributes:
        first, last: its first and last word.
        logit: sum of the logits of its two ends.
        nothing: smallest sum of a window's logits of no answer, as every window has to lack one.
        normalizer: logarithm of the sum of all begins' and of all ends' exponentials, added up.
    """

    first: int
    last: int
    logit: float
    nothing: float
    normalizer: float

    @property
    def margin(self) -> float:
        """By how much the logit of no answer exceeds that of the span."""
        return self.nothing - self.logit


class AnswerOutputs(NamedTuple):
    """A model's outputs for questions.

    Attributes:
        candidates: the best span of each row; None for a context without words.
        contexts: the words of each row's context.
        truncated: see `Answer`.
        threshold: margin above which a question has no answer; None where each has one.
    """

    candidates: list[Candidate | None]
    contexts: list[Words]
    truncated: list[bool]
    threshold: float | None


def answer_outputs(
    windows: QuestionWindows, outputs: Sequence[np.ndarray], threshold: float | None
) -> AnswerOutputs:
    """Returns the best spans.

    Args:
        windows: windows of the rows.
        outputs: logits (T or more, 2) of begin and end at each position of each window.
        threshold: see `AnswerOutputs`.
    """
    by_row: dict[int, list] = {}
    for window, logits in zip(windows.windows, outputs, strict=True):
        by_row.setdefault(window.row, []).append((window, logits.astype("float64")))
    found = [
        _best(by_row[row]) if row in by_row else None for row in range(len(windows.contexts))
    ]
    return AnswerOutputs(found, windows.contexts, windows.truncated, threshold)


def answer_predictions(labels: Sequence[str], outputs: AnswerOutputs) -> list[Answer]:
    """Converts the best spans to answers."""
    found = []
    for one, context, cut in zip(
        outputs.candidates, outputs.contexts, outputs.truncated, strict=True
    ):
        if one is None:
            found.append(Answer("", None, None, 0.0, cut))
        elif outputs.threshold is not None and one.margin > outputs.threshold:
            found.append(Answer("", None, None, np.exp(one.nothing - one.normalizer).item(), cut))
        else:
            start, end = context.places[one.first][0], context.places[one.last][1]
            score = float(np.exp(one.logit - one.normalizer))
            found.append(Answer(context.text[start:end], start, end, score, cut))
    return found


def _best(windows) -> Candidate:
    best, nothing = (-np.inf, 0, 0), np.inf
    begins, ends = [], []
    for window, logits in windows:
        begin, end = logits[window.starts, 0], logits[window.ends, 1]
        sums = begin[:, None] + end[None, :]
        lengths = np.arange(len(begin))[None, :] - np.arange(len(begin))[:, None]
        sums = np.where((lengths >= 0) & (lengths < MOST_WORDS), sums, -np.inf)
        first, last = np.unravel_index(sums.argmax(), sums.shape)
        best = max(best, (sums[first, last], window.words[first], window.words[last]))
        nothing = min(nothing, logits[NOWHERE].sum())
        begins += [begin, logits[NOWHERE, :1]]
        ends += [end, logits[NOWHERE, 1:]]
    normalizer = sum(_log_sum(np.concatenate(part)) for part in (begins, ends))
    return Candidate(int(best[1]), int(best[2]), float(best[0]), float(nothing), float(normalizer))


def _log_sum(logits: np.ndarray) -> float:
    highest = logits.max()
    return highest + np.log(np.exp(logits - highest).sum())
