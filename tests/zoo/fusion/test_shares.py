"""Fitted weights against a search of the whole simplex."""

import itertools

import numpy as np

from keras_transformer.zoo.fusion.shares import LEAST_WEIGHT, class_shares, number_shares

STEPS = 50


def simplex(members):
    """All weights in steps of 1 / STEPS."""
    grid = itertools.product(range(STEPS + 1), repeat=members - 1)
    return [np.array([*one, STEPS - sum(one)]) / STEPS for one in grid if sum(one) <= STEPS]


def cross_entropy(targets, outputs, weights):
    exponents = [np.exp(one - one.max(1, keepdims=True)) for one in outputs]
    shares = [one / one.sum(1, keepdims=True) for one in exponents]
    mean = sum(weight * one for weight, one in zip(weights, shares, strict=True))
    return -np.log(mean[np.arange(len(targets)), targets]).mean()


def test_class_weights_are_the_best_of_all():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 200)
    # Each member is good at one class, the last at none.
    outputs = [
        rng.normal(0, 1, (200, 3)) + good * np.eye(3)[targets] * (targets == place)[:, None]
        for place, good in enumerate((4.0, 2.0, 3.0))
    ]
    outputs.append(rng.normal(0, 4, (200, 3)))
    weights = class_shares(targets, outputs)
    best = min(simplex(4), key=lambda one: cross_entropy(targets, outputs, one))
    np.testing.assert_allclose(weights, best, atol=1 / STEPS)
    assert cross_entropy(targets, outputs, weights) <= cross_entropy(targets, outputs, best) + 1e-5
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
    targets, logits = np.array([0, 1, 1]), np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    np.testing.assert_allclose(class_shares(targets, [logits, logits]), [0.5, 0.5])
