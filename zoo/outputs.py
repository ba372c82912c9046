"""Predictions from model outputs, by the kind of output; NumPy only."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Outputs(NamedTuple):
    """A model's outputs for raw rows.

    Attributes:
        scores: logits or predicted numbers, (rows, outputs).
        truncated: for each row, whether it was truncated to the model's length.
    """

    scores: np.ndarray
    truncated: list[bool]


class Prediction(NamedTuple):
    """The prediction for one row.

    Attributes:
        label: most probable class; None for regression.
        score: probability of the label, or the predicted number.
        scores: probability of each label; empty for regression.
        truncated: whether the row was truncated to the model's length.
    """

    label: str | None
    score: float
    scores: dict[str, float]
    truncated: bool


def class_predictions(labels: Sequence[str], outputs: Outputs) -> list[Prediction]:
    """Converts logits (rows, labels) to the most probable class of each row."""
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
    """Converts outputs (rows, 1) to numbers."""
    return [
        Prediction(None, float(row[0]), {}, cut)
        for row, cut in zip(outputs.scores, outputs.truncated, strict=True)
    ]


# Kind of output -> the function from labels and outputs to predictions. Generated text, of the
# kind `text`, is not the output of one pass: see `generation`.
OUTPUTS: dict[str, Callable[[Sequence[str], Outputs], list[Prediction]]] = {
    "classes": class_predictions,
    "number": number_predictions,
}
