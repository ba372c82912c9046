"""Weights of members, fitted to validation data on the simplex."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize

# A member with a smaller weight is left out: it changes no answer that the others agree on.
LEAST_WEIGHT = 1e-3
# The smallest probability that a target may have, as in `last_layers.Fused`.
_LEAST_PROBABILITY = 1e-30


def class_shares(targets: np.ndarray, outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the weights that minimize the cross entropy of the mean probabilities.

    The cross entropy is convex in the weights.

    Args:
        targets: class indices (rows,).
        outputs: logits (rows, classes) of each member.
    """
    rows = np.arange(len(targets))
    # (rows, members): the members' probabilities of the target.
    found = np.stack([_probabilities(one)[rows, targets] for one in outputs], axis=1)
    found = np.maximum(found, _LEAST_PROBABILITY)

    def loss(weights):
        mean = found @ weights
        return -np.log(mean).mean(), -(found / mean[:, None]).mean(axis=0)

    return _on_simplex(loss, len(outputs))


def number_shares(targets: np.ndarray, outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the weights that minimize the mean squared error of the mean number.

    Args:
        targets: numbers (rows,).
        outputs: numbers (rows, 1) of each member.
    """
    found = np.concatenate(outputs, axis=1).astype("float64")
    scale = float(targets.std()) or 1.0

    def loss(weights):
        error = (found @ weights - targets) / scale
        return np.square(error).mean(), 2 * (error[:, None] * found / scale).mean(axis=0)

    return _on_simplex(loss, len(outputs))


def _on_simplex(loss: Callable, members: int) -> np.ndarray:
    """The minimum of a convex function and its gradient, among weights above 0 with the sum 1."""
    found = minimize(
        loss, np.full(members, 1 / members), jac=True, method="SLSQP",
        bounds=[(0.0, 1.0)] * members, options={"ftol": 1e-12, "maxiter": 1000},
        constraints={
            "type": "eq", "fun": lambda weights: weights.sum() - 1.0,
            "jac": lambda weights: np.ones(members),
        },
    )  # fmt: skip
    weights = np.where(found.x < LEAST_WEIGHT, 0.0, found.x)
    return weights / weights.sum()


def _probabilities(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits.astype("float64") - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)
