"""Predictions from model outputs, by the kind of output; NumPy only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_transformer.zoo.answering.answers import answer_predictions
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.logits import sigmoid
from keras_transformer.zoo.masking.fills import fill_predictions
from keras_transformer.zoo.masking.replacements import replaced_predictions
from keras_transformer.zoo.scope import check_out_of_scope, is_in_scope
from keras_transformer.zoo.tagging.decoding import check_constrained, tag_predictions

# Kinds of outputs: logits of classes, logits of any number of labels, vectors of the rows, tags of
# their words, spans that answer, the pieces behind each [MASK], and whether a piece was replaced.
CLASSES, LABEL_SETS, EMBEDDING = "classes", "label sets", "embedding"
TAGS, ANSWERS = "tags", "answers"
MASKS, REPLACED = "masked pieces", "replaced pieces"
# Outputs of several heads, each of a kind of its own.
BY_HEAD = "by head"
# Those of a model that reads a long text in several windows, and with outputs at each position.
WINDOWED = (TAGS, ANSWERS)
BY_POSITION = (*WINDOWED, MASKS, REPLACED)


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
        label: most probable class; None for regression, and for a row out of the model's scope.
        score: probability of the label, or the predicted number.
        scores: probability of each label; empty for regression.
        truncated: whether the row was truncated to the model's length.
    """

    label: str | None
    score: float
    scores: dict[str, float]
    truncated: bool


class LabelSet(NamedTuple):
    """The labels of one row.

    Attributes:
        labels: probability of each label that reaches its threshold, most probable first.
        scores: probability of each label.
        truncated: whether the row was truncated to the model's length.
    """

    labels: dict[str, float]
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


def class_predictions(
    labels: Sequence[str], outputs: Outputs, temperature: float = 1.0,
    out_of_scope: Mapping[str, Any] | None = None,
) -> list[Prediction]:  # fmt: skip
    """Converts logits (rows, labels) to the most probable class of each row.

    Args:
        labels: names of the classes.
        outputs: logits.
        temperature: divisor of the logits, see `class_probabilities`.
        out_of_scope: what decides which rows have no label, see `is_in_scope`.
    """
    results = []
    probabilities = class_probabilities(outputs.scores, temperature)
    inside = is_in_scope(outputs.scores, temperature, out_of_scope)
    for row, is_inside, cut in zip(probabilities, inside, outputs.truncated, strict=True):
        named = dict(zip(labels, row.tolist(), strict=True))
        best = int(row.argmax())
        label = labels[best] if is_inside else None
        results.append(Prediction(label, float(row[best]), named, cut))
    return results


def class_probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Returns the softmax (rows, classes) of logits divided by a temperature.

    The temperature of a calibrated model makes its probabilities shares of right predictions (Guo
    et al. 2017, arXiv:1706.04599, section 4.2); the most probable class stays.
    """
    logits = logits / np.float32(temperature)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return exponents / exponents.sum(axis=1, keepdims=True)


def label_set_predictions(
    labels: Sequence[str], outputs: Outputs, thresholds: Sequence[float] = ()
) -> list[LabelSet]:
    """Converts logits (rows, labels) to the labels of each row.

    Args:
        labels: names of the labels.
        outputs: logits.
        thresholds: probability of each label from which on it is predicted; empty for 0.5.
    """
    cuts = threshold_logits(thresholds, len(labels))
    results = []
    for row, cut in zip(outputs.scores.astype("float64"), outputs.truncated, strict=True):
        probabilities = sigmoid(row).tolist()
        named = dict(zip(labels, probabilities, strict=True))
        chosen = [place for place in np.argsort(-row, kind="stable") if row[place] >= cuts[place]]
        found = {labels[place]: probabilities[place] for place in chosen}
        results.append(LabelSet(found, named, cut))
    return results


def threshold_logits(thresholds: Sequence[float], count: int) -> np.ndarray:
    """Returns the logits (count,) of thresholds, in float64; 0 if there are none."""
    if not len(thresholds):
        return np.zeros(count)
    probabilities = np.asarray(thresholds, "float64")
    return np.log(probabilities) - np.log1p(-probabilities)


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


def shortened(vectors: np.ndarray, width: int) -> np.ndarray:
    """Returns the first numbers (rows, width) of vectors (rows, D), of length 1, in float32.

    A model that was trained with such a width gives vectors that are to do alone.

    Raises:
        InputError: if the width is not from 1 to D.
    """
    if type(width) is not int or not 1 <= width <= vectors.shape[1]:
        raise InputError(
            f"Expected width to be from 1 to the {vectors.shape[1]} numbers of a vector, got "
            f"width={width!r}."
        )
    return unit_vectors(vectors[:, :width]).astype("float32")


def int8_vectors(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors (rows, D) of length 1 in int8: 127 times each number, rounded.

    A product of two is 127 * 127 times their cosine, within rounding.
    """
    return np.rint(127 * unit_vectors(vectors)).astype("int8")


def vectors_as(vectors: np.ndarray, width: int | None, dtype: str) -> np.ndarray:
    """Returns vectors (rows, D), `shortened` unless the width is None, in float32 or int8.

    Raises:
        InputError: if the width is not from 1 to D, or the type is another.
    """
    if dtype not in ("float32", "int8"):
        raise InputError(f"Expected dtype to be float32 or int8, got dtype={dtype!r}.")
    vectors = vectors if width is None else shortened(vectors, width)
    return int8_vectors(vectors) if dtype == "int8" else vectors


# Kind of output -> the function from labels, outputs and a `decision` to predictions. Generated
# text, of the kind `text`, is not the output of one pass: see `generation`.
OUTPUTS: dict[str, Callable[..., list[Any]]] = {
    CLASSES: class_predictions,
    LABEL_SETS: label_set_predictions,
    "number": number_predictions,
    EMBEDDING: vector_predictions,
    TAGS: tag_predictions,
    ANSWERS: answer_predictions,
    MASKS: fill_predictions,
    REPLACED: replaced_predictions,
}


def decision_of(kind: str, task: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Returns what decides between a model's outputs: arguments of its function in `OUTPUTS`.

    Args:
        kind: kind of output.
        task: the task as JSON.
        labels: names of the labels.

    Raises:
        InputError: if a value is impossible.
    """
    found = {name: task[name] for name in _DECISIONS.get(kind, ()) if name in task}
    for name, value in found.items():
        _DECISIONS[kind][name](value, len(labels))
    return found


def check_thresholds(thresholds: Any, count: int) -> None:
    """Raises InputError if thresholds are not probabilities, one for each of the labels."""
    is_list = isinstance(thresholds, list | tuple) and len(thresholds) == count
    if not is_list or not all(type(one) is float and 0 < one < 1 for one in thresholds):
        raise InputError(
            f"Expected thresholds to be {count} numbers above 0 and below 1, got "
            f"thresholds={thresholds!r}."
        )


def check_temperature(temperature: Any, count: int = 0) -> None:
    """Raises InputError if a temperature is not a number from 0.01 to 100."""
    if type(temperature) is not float or not 0.01 <= temperature <= 100:
        raise InputError(
            f"Expected temperature to be a number from 0.01 to 100, got temperature="
            f"{temperature!r}."
        )


def check_scale(scale: Any, count: int = 0) -> None:
    """Raises InputError if a factor of cosines is not a number from 0.01 to 100."""
    if type(scale) is not float or not 0.01 <= scale <= 100:
        raise InputError(f"Expected scale to be a number from 0.01 to 100, got scale={scale!r}.")


# Kind of output -> what decides between them, with its check.
_DECISIONS: dict[str, dict[str, Callable[[Any, int], None]]] = {
    CLASSES: {"temperature": check_temperature, "out_of_scope": check_out_of_scope},
    LABEL_SETS: {"thresholds": check_thresholds},
    TAGS: {"constrained": check_constrained},
    BY_HEAD: {"scale": check_scale},
}
# Names of all that decides, in any task's JSON.
DECIDING = frozenset(name for checks in _DECISIONS.values() for name in checks)
