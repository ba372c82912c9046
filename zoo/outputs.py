"""Predictions from model outputs, by the kind of output; NumPy only."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_transformer.zoo.answering.answers import answer_predictions
from keras_transformer.zoo.tagging.decoding import tag_predictions

# Kinds of the outputs that are vectors of the rows, tags of their words, and spans that answer.
EMBEDDING, TAGS, ANSWERS = "embedding", "tags", "answers"
# Those of a model with outputs at each position.
BY_POSITION = (TAGS, ANSWERS)


class Outputs(NamedTuple):
    """A model's outputs for raw rows.

    Attributes:
        scores: logits, predicted numbers or vectors, (rows, outputs).
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


class Vector(NamedTuple):
    """The vector of one row.

    Attributes:
        vector: (D,) float32.
        truncated: whether the row was truncated to the model's length.
    """

    vector: np.ndarray
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


def vector_predictions(labels: Sequence[str], outputs: Outputs) -> list[Vector]:
    """Pairs outputs (rows, D) with their rows' truncation."""
    return [Vector(*one) for one in zip(outputs.scores, outputs.truncated, strict=True)]


def pad_positions(outputs: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Returns outputs (T, outputs) of rows as one array (rows, length, outputs), cut or with 0."""
    padded = np.zeros((len(outputs), length, outputs[0].shape[-1]), outputs[0].dtype)
    for row, values in zip(padded, outputs, strict=True):
        row[: len(values)] = values[:length]
    return padded


def nearest(
    queries: np.ndarray, vectors: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each query the places of the vectors of the highest cosines, and these.

    Args:
        queries: (rows, D).
        vectors: (N, D).
        count: number of vectors for each query, at most N.

    Returns:
        Places and cosines (rows, min(count, N)), best first; of equals the first.
    """
    found = unit_vectors(queries) @ unit_vectors(vectors).T
    places = np.argsort(-found, axis=1, kind="stable")[:, :count]
    return places, np.take_along_axis(found, places, axis=1)


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the cosines (rows,) of vectors (rows, D); 0 where one has no direction."""
    first, second = unit_vectors(first), unit_vectors(second)
    return np.sum(first * second, axis=1)


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors (rows, D) divided by their length, in float64."""
    vectors = np.asarray(vectors, "float64")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


# Kind of output -> the function from labels and outputs to predictions. Generated text, of the
# kind `text`, is not the output of one pass: see `generation`.
OUTPUTS: dict[str, Callable[[Sequence[str], Any], list[Any]]] = {
    "classes": class_predictions,
    "number": number_predictions,
    EMBEDDING: vector_predictions,
    TAGS: tag_predictions,
    ANSWERS: answer_predictions,
}
