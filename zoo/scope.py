"""Scores by which a classifier tells what is in its scope; NumPy only."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_transformer.zoo.errors import InputError


def largest_probability(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Hendrycks and Gimpel 2017, arXiv:1610.02136, section 2, of calibrated probabilities."""
    logits = logits.astype("float64") / temperature
    return 1 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)


def energy(logits: np.ndarray, temperature: float) -> np.ndarray:
    """The negative energy: Liu et al. 2020, arXiv:2010.03759, section 3.2, at their T of 1."""
    logits = logits.astype("float64")
    highest = logits.max(axis=1)
    return highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))


def largest_logit(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Hendrycks et al. 2022, arXiv:1911.11132, section 3.2."""
    return logits.max(axis=1).astype("float64")


PROBABILITY = "probability"
# Score of rows (rows,) by logits (rows, classes) and temperature: higher is within the scope.
SCORES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    PROBABILITY: largest_probability,
    "energy": energy,
    "max-logit": largest_logit,
}


def is_in_scope(
    logits: np.ndarray, temperature: float, out_of_scope: Mapping[str, Any] | None
) -> np.ndarray:
    """Returns which rows (rows,) are in the scope; all where nothing decides.

    Args:
        logits: (rows, classes).
        temperature: of the probabilities.
        out_of_scope: name of the score, and the threshold below which a row is out of the scope.
    """
    if out_of_scope is None:
        return np.ones(len(logits), bool)
    return SCORES[out_of_scope["score"]](logits, temperature) >= out_of_scope["threshold"]


def check_out_of_scope(value: Any, count: int = 0) -> None:
    """Raises InputError if a value does not name a score and a threshold."""
    fits = isinstance(value, Mapping) and set(value) == {"score", "threshold"}
    if not fits or value["score"] not in list(SCORES) or not (
        type(value["threshold"]) is float and abs(value["threshold"]) < np.inf
    ):  # fmt: skip
        raise InputError(
            f"Expected out_of_scope to have a score among {', '.join(SCORES)} and a threshold, got "
            f"out_of_scope={value!r}."
        )
