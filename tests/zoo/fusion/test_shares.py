"""Fitted weights against a search of the whole simplex."""

import itertools

import numpy as np

from keras_transformer.zoo.fusion.shares import LEAST_WEIGHT, number_shares, probability_shares

STEPS = 20


def simplex(members):
    """All weights in steps of 1 / STEPS."""
    grid = itertools.product(range(STEPS + 1), repeat=members - 1)
    return [np.array([*one, STEPS - sum(one)]) / STEPS for one in grid if sum(one) <= STEPS]


def found_by(targets, outputs):
    """The probabilities (rows, members) of the targets."""
    exponents = [np.exp(one - one.max(1, keepdims=True)) for one in outputs]
    shares = [one / one.sum(1, keepdims=True) for one in exponents]
    return np.stack([one[np.arange(len(targets)), targets] for one in shares], axis=1)


def test_weights_of_probabilities_are_the_best_of_all():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 200)
    # Each member is good at one class, the last at none.
    outputs = [
        rng.normal(0, 1, (200, 3)) + good * np.eye(3)[targets] * (targets == place)[:, None]
        for place, good in enumerate((4.0, 2.0, 3.0))
    ]
    outputs.append(rng.normal(0, 4, (200, 3)))
    found = found_by(targets, outputs)

    def cross_entropy(weights):
        return -np.log(found @ weights).mean()

    weights = probability_shares(found)
    best = min(simplex(4), key=cross_entropy)
    np.testing.assert_allclose(weights, best, atol=1 / STEPS)
    assert cross_entropy(weights) <= cross_entropy(best) + 1e-5
    assert weights.sum() == 1.0 and weights[3] == 0.0 and (weights[:3] > LEAST_WEIGHT).all()


def test_number_weights_are_the_best_of_all():
    rng = np.random.default_rng(1)
    # Far from zero and large: the fit is the same in any unit.
    targets = 5000 + 900 * rng.normal(size=100)
    outputs = [targets[:, None] + rng.normal(bias, noise, (100, 1))
               for bias, noise in ((300, 50), (-200, 90), (2500, 700))]  # fmt: skip

    def error(weights):
        mean = sum(w * one[:, 0] for w, one in zip(weights, outputs, strict=True))
        return np.square(mean - targets).mean()

    weights = number_shares(targets, outputs)
    best = min(simplex(3), key=error)
    np.testing.assert_allclose(weights, best, atol=1 / STEPS)
    assert error(weights) <= error(best)


def test_a_member_without_errors_has_all_the_weight():
    targets = np.array([1.0, 2.0, 4.0], "float32")
    outputs = [targets[:, None] + 1, targets[:, None]]
    np.testing.assert_array_equal(number_shares(targets, outputs), [0.0, 1.0])


def test_members_that_are_the_same_share_the_weight():
    np.testing.assert_allclose(
        probability_shares(np.array([[0.9, 0.9], [0.5, 0.5], [0.1, 0.1]])), [0.5, 0.5]
    )
