"""Predictions: what a model's outputs mean, by their kind; NumPy only."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Outputs(NamedTuple):
    """A model's outputs for raw texts.

    Attributes:
        scores: (rows, outputs) logits, or predicted numbers.
        truncated: for each row, whether tokens were cut to the model's length.
    """

    scores: np.ndarray
    truncated: list[bool]


class Prediction(NamedTuple):
    """One text's result.

    Attributes:
        label: the most probable class; None for regression.
        score: its probability, or the predicted number.
        scores: probability of each label; empty for regression.
        truncated: whether tokens were cut to the model's length.
    """

    label: str | None
    score: float
    scores: dict[str, float]
    truncated: bool


def class_predictions(labels: Sequence[str], outputs: Outputs) -> list[Prediction]:
    """Reads logits (rows, labels) as the most probable class of each row."""
    scores = outputs.scores
    exponents = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    results = []
    for row, cut in zip(probabilities, outputs.truncated, strict=True):
        named = dict(zip(labels, row.tolist(), strict=True))
        best = int(row.argmax())
        results.append(Prediction(labels[best], float(row[best]), named, cut))
    return results


def number_predictions(labels: Sequence[str], outputs: Outputs) -> list[Prediction]:
    """Reads outputs (rows, 1) as numbers."""
    return [
        Prediction(None, float(row[0]), {}, cut)
        for row, cut in zip(outputs.scores, outputs.truncated, strict=True)
    ]


# Kind of output -> the function from labels and outputs to predictions. What a model writes,
# of the kind `text`, is no output of one pass: see `generation`.
OUTPUTS: dict[str, Callable[[Sequence[str], Outputs], list[Prediction]]] = {
    "classes": class_predictions,
    "number": number_predictions,
}
