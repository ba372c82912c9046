"""Metrics of answers: exact match and F1 of words, as SQuAD's own evaluation defines them.

Rajpurkar et al. 2016 (arXiv:1606.05250, section 6.1) and 2018 (arXiv:1806.03822); fractions here,
not percentages. Case, ASCII punctuation, the articles a, an and the, and more than one space do not
count. Of several right answers the best one counts; a question without one is right if no answer is
given.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(answer: str) -> str:
    """Returns an answer without what does not count."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def word_f1(answer: str, expected: str) -> float:
    """Returns the F1 of the words of an answer."""
    ours, theirs = normalized(answer).split(), normalized(expected).split()
    if not ours or not theirs:
        return float(ours == theirs)
    shared = (Counter(ours) & Counter(theirs)).total()
    return 2 * shared / (len(ours) + len(theirs))


def best_scores(answer: str, expected: Sequence[str]) -> tuple[float, float]:
    """Returns exact match and F1 against the best of the right answers; none for no answer."""
    # SQuAD leaves out answers of which nothing counts.
    known = [one for one in expected if normalized(one)] or [""]
    exact = max(float(normalized(answer) == normalized(one)) for one in known)
    return exact, max(word_f1(answer, one) for one in known)


def answer_metrics(answers: Sequence[str], expected: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Returns exact match and F1, also of questions with and without an answer by themselves.

    Args:
        answers: an answer for each question, empty for none.
        expected: right answers of each; none if the context has none.
    """
    scores = np.array([best_scores(*pair) for pair in zip(answers, expected, strict=True)])
    has_answer = np.array([bool(one) for one in expected])
    result = {"f1": float(scores[:, 1].mean()), "exact_match": float(scores[:, 0].mean())}
    if not has_answer.all():
        for name, rows in (("answerable", has_answer), ("unanswerable", ~has_answer)):
            if rows.any():
                exact, f1 = scores[rows].mean(axis=0)
                result |= {f"{name}_f1": float(f1), f"{name}_exact_match": float(exact)}
    return result


def best_threshold(margins: np.ndarray, answered: np.ndarray, empty: np.ndarray) -> float:
    """Returns the margin above which no answer is given that has the highest mean score.

    Args:
        margins: (rows,) by how much no answer is likelier than the best one.
        answered: (rows,) scores if the best answer is given.
        empty: (rows,) scores if none is given.
    """
    order = np.argsort(margins, kind="stable")
    ordered = margins[order]
    gains = np.concatenate([[0.0], np.cumsum((answered - empty)[order])])
    # Between two margins; questions of equal ones are all answered, or none.
    edges = np.concatenate([[ordered[0] - 1.0], (ordered[:-1] + ordered[1:]) / 2, [ordered[-1]]])
    apart = np.concatenate([[True], ordered[:-1] < ordered[1:], [True]])
    return float(edges[np.where(apart, gains, -np.inf).argmax()])
