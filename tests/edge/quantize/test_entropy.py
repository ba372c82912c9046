"""Ranges by entropy, against the definition written out for a few bins and values."""

import math

import numpy as np
import pytest

from keras_transformer.edge.quantize.entropy import DRAWN, Histogram, entropy_bounds
from keras_transformer.edge.quantize.least_error import Sample
from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.quantize.ranges import calibrate, learned_points
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError
from tests.edge.models import calibration, one_point, random_model, range_of

RNG = np.random.default_rng(0)


def whole(values):
    values = np.asarray(values, "float32")
    return Sample(values=values, weights=np.ones(values.size, "float32"))


def divergence(counts, edges, first, last, bits):
    """The divergence for the bounds `edges[first]` and `edges[last]`, bin by bin."""
    low, step = edges[first], (edges[last] - edges[first]) / (2**bits - 1)
    groups = {}
    for i in range(first, last):
        place = round(((edges[i] + edges[i + 1]) / 2 - low) / step)
        groups.setdefault(place, []).append(i)
    rounded = {}
    for group in groups.values():
        full = [i for i in group if counts[i]]
        rounded |= {i: sum(counts[j] for j in full) / len(full) for i in full}
    clipped = {i: counts[i] for i in range(first, last)}
    clipped[first] += sum(counts[:first])
    clipped[last - 1] += sum(counts[last:])
    total, inside = sum(clipped.values()), sum(rounded.values())
    return sum(
        p / total * math.log(p / total / max(rounded.get(i, 0.0) / inside, 1e-6))
        for i, p in clipped.items() if p
    )  # fmt: skip


@pytest.mark.parametrize("bits", [2, 3])
@pytest.mark.parametrize("bounds", [(0, 16), (0, 11), (3, 14), (5, 9)])
def test_the_divergence_is_that_of_the_definition(bits, bounds):
    counts = np.array([2, 0, 1, 3, 0, 4, 9, 12, 20, 11, 0, 5, 2, 2, 0, 1], "float64")
    edges = np.linspace(-4.0, 4.0, 17)
    found = Histogram(counts=counts, low=-4.0, high=4.0)
    expected = divergence(counts, edges, *bounds, bits)
    low, high = edges[bounds[0]], edges[bounds[1]]
    assert found.divergence(low, high, bits) == pytest.approx(expected, rel=1e-6)


def test_an_outermost_bin_without_values_of_its_own():
    counts = np.array([0, 5, 5, 0, 5], "float64")
    found = Histogram(counts=counts, low=0.0, high=5.0).divergence(0.0, 4.0, 3)
    # A third of the values lies in a bin that has none when they are rounded.
    assert found == pytest.approx(
        2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3 / 1e-6), rel=1e-6
    )


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [4, 8])
def test_the_bounds_are_the_best_of_the_shares(symmetric, bits):
    sample = whole(RNG.laplace(0.2, 1.0, 3000))
    low, high = entropy_bounds(sample, bits, symmetric=symmetric)
    counts = Histogram.of(sample, symmetric=symmetric)
    edges = np.linspace(counts.low, counts.high, 2049)
    best = np.inf
    for share in np.linspace(0.125, 1.0, 57):
        lower = counts.low * share if symmetric else low
        first, last = (int(np.argmin(np.abs(edges - one))) for one in (lower, counts.high * share))
        best = min(best, divergence(counts.counts, edges, first, last, bits))
    found = counts.divergence(low, high, bits)
    # The edges of bins that are halfway between two may be taken from either.
    assert found == pytest.approx(best, rel=0.02)
    assert low <= 0.0 <= high
    assert not symmetric or low == -high


@pytest.mark.parametrize("symmetric", [False, True])
def test_outliers_are_clipped(symmetric):
    values = np.concatenate([RNG.normal(0.0, 1.0, 50_000), [60.0, -40.0]])
    low, high = entropy_bounds(whole(values), 8, symmetric=symmetric)
    assert -10.0 < low < -3.0
    assert 3.0 < high < 10.0


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_uniform_distribution_is_not_clipped(symmetric):
    values = RNG.uniform(-1.0, 2.0, 50_000)
    low, high = entropy_bounds(whole(values), 8, symmetric=symmetric)
    assert (low, high) == pytest.approx((-2.0 if symmetric else -1.0, 2.0), rel=1e-3)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("value", [0.0, 3.0, -2.0, 1e-9])
def test_values_that_are_all_alike(value, symmetric):
    low, high = entropy_bounds(whole(np.full(10, value)), 8, symmetric=symmetric)
    assert low <= min(value, 0.0) + 1e-6
    assert high >= max(value, 0.0) - 1e-6
    assert high > low


def test_a_sample_has_the_weight_of_all_values():
    values = RNG.normal(0.0, 1.0, 4 * DRAWN).astype("float32")
    counts = Histogram.of(Sample.of(values, np.random.default_rng(0), DRAWN), symmetric=False)
    assert counts.counts.sum() == pytest.approx(values.size, rel=1e-5)
    assert (counts.low, counts.high) == pytest.approx((values.min(), values.max()))


def test_calibration_by_entropy():
    model, point = one_point(-1.0, 1.0)
    values = RNG.normal(0.0, 1.0, (1000, 50)).astype("float32")
    values[0, :2] = 60.0, -40.0
    batches = calibration()
    batches.epoch = lambda _: iter([type("Rows", (), {"inputs": values})])
    calibrate(model, batches, method="entropy")
    low, high = range_of(point)
    assert (-10.0 < low < -3.0, 3.0 < high < 10.0) == (True, True)
    calibrate(model, batches, method="min-max")
    assert range_of(point) == (-40.0, 60.0)


def test_a_model_and_a_file_by_entropy():
    trained, batches = random_model(), calibration()
    ranges = [
        [range_of(point) for point in learned_points(quantized_model(trained, batches, **method))]
        for method in ({}, {"range_method": "entropy"})
    ]
    assert ranges[0] != ranges[1]
    artifact = convert(trained, "int8", calibration=batches, range_method="entropy")
    assert artifact.parity.rows


@pytest.mark.parametrize(
    ("precision", "arguments", "sentence"),
    [
        ("int8", {"range_method": "kl"},
         "Expected range_method to be one of least-error, min-max, entropy, got 'kl'."),
        ("int8", {"range_method": "entropy", "percentile": 99.9},
         "Expected either percentile or range_method, got percentile=99.9, range_method=entropy."),
        ("int16x8", {"range_method": "entropy"},
         "Expected a range_method other than entropy for activations of more than 8 bits, whose "
         "grid is finer than its histogram, got 16 bits."),
        ("int4", {"range_method": "min-max"},
         "Expected range_method only for a precision with ranges, got range_method=min-max for "
         "int4."),
        ("int8", {"range_method": "min-max", "calibration": None},
         "Expected range_method only with calibration data, got range_method=min-max."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(precision, arguments, sentence):
    with pytest.raises(InputError) as caught:
        convert(random_model(), precision, **{"calibration": calibration(), **arguments})
    assert str(caught.value) == sentence


def test_points_of_16_bits_have_no_entropy():
    with pytest.raises(InputError, match="got 16 bits"):
        quantized_model(random_model(), calibration(), "int16x8", range_method="entropy")
