"""Weights of members, fitted to validation data on the simplex."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize, nnls

from keras_transformer.zoo.errors import RunError

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


def logit_shares(logits: np.ndarray, firsts: np.ndarray, rights: np.ndarray) -> np.ndarray:
    """Returns the weights that minimize the cross entropy of the softmax of the mean logits.

    It is convex in the weights. The derivative of a distribution's is the member's mean logit under
    it, less that of what is right.

    Args:
        logits: logits (positions, members) of all distributions, one after the other.
        firsts: first position of each distribution (distributions,), ascending.
        rights: position of what is right in each.

    Raises:
        RunError: if no minimum is found.
    """
    counts = np.diff(firsts, append=len(logits))

    def loss(weights):
        mean = logits @ weights
        mean -= np.repeat(np.maximum.reduceat(mean, firsts), counts)
        exponentials = np.exp(mean)
        sums = np.add.reduceat(exponentials, firsts)
        shares = exponentials / np.repeat(sums, counts)
        slope = (shares @ logits - logits[rights].sum(axis=0)) / len(firsts)
        return (np.log(sums) - mean[rights]).mean(), slope

    members = logits.shape[1]
    found = minimize(
        loss, np.full(members, 1 / members), jac=True, method="SLSQP", bounds=[(0, 1)] * members,
        constraints={
            "type": "eq", "fun": lambda weights: weights.sum() - 1,
            "jac": lambda weights: np.ones(members),
        },
        options={"ftol": _NEAR / 10},
    )  # fmt: skip
    if not found.success:
        raise RunError(f"Expected weights with the smallest loss, got none: {found.message}.")
    return _without_least(np.maximum(found.x, 0.0))


def _without_least(weights: np.ndarray) -> np.ndarray:
    """Weights with a sum of 1, of which those below the least are 0."""
    weights = weights / weights.sum()
    weights = np.where(weights < LEAST_WEIGHT, 0.0, weights)
    return weights / weights.sum()
