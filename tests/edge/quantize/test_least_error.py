import itertools

import numpy as np
import pytest

from keras_transformer.edge.quantize.least_error import Sample

RNG = np.random.default_rng(0)
VALUES = {
    "normal": RNG.normal(0.3, 2.0, 4000),
    "above zero": RNG.exponential(1.0, 4000),
    "below zero": -RNG.exponential(1.0, 4000),
    "heavy tails": RNG.standard_t(2, 4000),
}


def whole(values):
    values = values.astype("float32")
    return Sample(values=values, weights=np.ones(values.size, "float32"))


def error(values, low, high, bits):
    """Squared error of the nearest of all values that a grid has, each computed by itself."""
    step = (high - low) / (2**bits - 1)
    zero = np.round(-low / step)
    grid = (np.arange(2**bits) - zero) * step
    return np.square(np.abs(values[:, None] - grid).min(axis=1)).sum()


@pytest.mark.parametrize("name", VALUES)
def test_the_error_is_that_of_the_nearest_values_of_the_grid(name):
    values = VALUES[name][:500]
    found = whole(values).error(-1.3, 2.1, 6)
    assert found == pytest.approx(error(values.astype("float32"), -1.3, 2.1, 6), rel=1e-4)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("name", VALUES)
def test_no_pair_of_bounds_is_much_better(name, bits):
    values = VALUES[name][:600].astype("float32")
    low, high = whole(values).bounds(bits, symmetric=False)
    assert low <= 0.0 <= high
    extremes = min(values.min(), 0.0), max(values.max(), 0.0)
    shares = np.linspace(0.1, 1.0, 19)
    pairs = itertools.product(*(extreme * shares for extreme in extremes))
    best = min(error(values, *pair, bits) for pair in pairs if pair[1] > pair[0])
    # Both bounds are sought in turn, not together.
    assert error(values, low, high, bits) <= 1.05 * best


def test_few_bits_clip_heavy_tails():
    values = VALUES["heavy tails"]
    low, high = whole(values).bounds(4, symmetric=False)
    assert values.min() < 1.5 * low
    assert high * 1.5 < values.max()


def test_symmetric_bounds():
    values = VALUES["normal"]
    low, high = whole(values).bounds(8, symmetric=True)
    assert low == -high
    assert 0.5 * np.abs(values).max() < high <= np.abs(values).max() + 1e-6


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("value", [0.0, 3.0, -2.0, 1e-9])
def test_values_that_are_all_alike(value, symmetric):
    low, high = whole(np.full(10, value)).bounds(8, symmetric=symmetric)
    assert low <= min(value, 0.0) + 1e-6
    assert high >= max(value, 0.0) - 1e-6
    assert high > low


def test_a_sample_holds_the_extremes_and_stands_for_all():
    values = RNG.normal(0, 1, (100, 300)).astype("float32")
    sample = Sample.of(values, np.random.default_rng(0))
    assert sample.values.size < 1000
    assert sample.weights.sum() == pytest.approx(values.size, rel=1e-5)
    ordered = np.sort(values.reshape(-1))
    for end in (slice(32), slice(-32, None)):
        np.testing.assert_array_equal(np.sort(sample.values)[end], ordered[end])
    # 448 drawn values estimate the variance of the rest within 15 % or so.
    assert sample.weights @ np.square(sample.values) == pytest.approx(values.size, rel=0.2)


def test_a_small_tensor_is_its_own_sample():
    values = RNG.normal(0, 1, (4, 5)).astype("float32")
    joined = Sample.joined([Sample.of(values, np.random.default_rng(0))] * 2)
    np.testing.assert_array_equal(joined.values, np.tile(values.reshape(-1), 2))
    np.testing.assert_array_equal(joined.weights, np.ones(40))
