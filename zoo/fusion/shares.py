"""Weights of members, fitted to validation data on the simplex."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

# A member with a smaller weight is left out: it changes no answer that the others agree on.
LEAST_WEIGHT = 1e-3
# Distance in nats from the smallest cross entropy at which the weights are fitted.
_NEAR = 1e-5
# The smallest probability that a target may have, as in `last_layers.Fused`.
_LEAST_PROBABILITY = 1e-30


def probability_shares(found: np.ndarray) -> np.ndarray:
    """Returns the weights that minimize the cross entropy of the mean probabilities.

    It is convex in the weights. Each is multiplied by the mean ratio of the member's probability of
    the target to all members' (expectation maximization; Cover 1984, "An algorithm for maximizing
    expected log investment return", whose bound is the criterion: the logarithm of the largest
    ratio is at least the distance to the minimum).

    Args:
        found: probabilities (targets, members) of the targets: classes, labels or tokens.
    """
    found = np.maximum(found, _LEAST_PROBABILITY)
    weights = np.full(found.shape[1], 1 / found.shape[1])
    while True:
        ratios = (found / (found @ weights)[:, None]).mean(axis=0)
        if np.log(ratios.max()) < _NEAR:
            return _without_least(weights)
        weights = weights * ratios


def number_shares(targets: np.ndarray, outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the weights that minimize the mean squared error of the mean number.

    With weights whose sum is 1 the error is that of the members' errors E, and the minimum of
    |E w| is the direction of the minimum of |E u|^2 + (sum u - 1)^2 over u >= 0.

    Args:
        targets: numbers (rows,).
        outputs: numbers (rows, 1) of each member.
    """
    errors = np.concatenate(outputs, axis=1).astype("float64") - targets[:, None]
    size = np.sqrt(np.square(errors).sum(axis=0).min())
    if size == 0:
        return _without_least(np.square(errors).sum(axis=0) == 0)
    weights, _ = nnls(
        np.concatenate([errors / size, np.ones((1, len(outputs)))]),
        np.concatenate([np.zeros(len(errors)), [1.0]]),
    )
    return _without_least(weights)


def _without_least(weights: np.ndarray) -> np.ndarray:
    """Weights with a sum of 1, of which those below the least are 0."""
    weights = weights / weights.sum()
    weights = np.where(weights < LEAST_WEIGHT, 0.0, weights)
    return weights / weights.sum()
