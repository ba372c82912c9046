import keras
import ml_dtypes
import numpy as np
import pytest

from keras_transformer import Projection, QuantPoint
from keras_transformer.bits import all_bits, symmetric_range, tanh_range, unit_range
from keras_transformer.masks import STORED_MASKED_SCORE
from keras_transformer.positions import SinusoidalPositionalEncoding
from keras_transformer.rounding import round_kernel, round_table
from tests import reference
from tests.keras_transformer.checks import (
    assert_close,
    built,
    check_gradients,
    check_precision,
    check_round_trip,
    gradients,
    normal,
    values,
)

X = 2.0 * normal(3, 4, 5)


def point(bits, minimum, maximum, **kwargs):
    layer = QuantPoint(bits, **kwargs)
    layer.build(None)
    layer.set_range(minimum, maximum)
    return layer


def test_without_bits_a_point_is_the_identity():
    layer = QuantPoint()
    tensor = keras.ops.convert_to_tensor(X)
    assert layer(tensor) is tensor
    assert layer.weights == []
    assert not layer.is_learned


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
@pytest.mark.parametrize("bounds", [(-3.0, 5.0), (-0.3, 0.2), (0.0, 4.0), (-4.0, 0.0)])
def test_rounding_equals_the_reference(bits, bounds):
    layer = point(bits, *bounds)
    stored = values(layer)
    expected = reference.fake_quant(X, stored["range_min"], stored["range_max"], bits)
    # A value within float32's error of the middle between two steps may go either way.
    step = (bounds[1] - bounds[0]) / (2**bits - 1)
    middle = np.abs(np.abs(X / step % 1.0) - 0.5) < 1e-3 * 2 ** max(0, bits - 8)
    actual = keras.ops.convert_to_numpy(layer(X))
    assert_close(actual[~middle], expected[~middle], atol=1e-5)
    assert_close(actual, expected, atol=1.001 * step)
    assert len(np.unique(actual)) <= 2**bits


def test_a_fixed_range_needs_no_weights():
    layer = QuantPoint(8, minimum=0.0, maximum=255 / 256)
    probabilities = np.linspace(0, 1, 97).astype("float32")
    expected = reference.fake_quant(probabilities, 0.0, 255 / 256, 8)
    assert_close(layer(probabilities), expected)
    assert layer.weights == []
    assert not layer.is_learned


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("bounds", [(-1.0, 3.0), (-3.0, 1.0), (0.0, 0.7), (-0.7, 0.0), (0.0, 0.0)])
def test_a_symmetric_range_has_zero_point_zero(bits, bounds):
    stored = values(point(bits, *bounds, symmetric=True))
    minimum, maximum = stored["range_min"], stored["range_max"]
    scale = (maximum - minimum) / (2**bits - 1)
    # In two's complement the smallest stored integer is -2**(bits-1).
    assert round(-minimum / scale, 2) == 2 ** (bits - 1)
    assert minimum <= bounds[0] + 1e-6
    assert maximum >= bounds[1] - 1e-6


def test_a_range_is_stretched_to_zero():
    stored = values(point(8, 2.0, 3.0))
    assert (stored["range_min"], stored["range_max"]) == (0.0, 3.0)
    stored = values(point(8, -3.0, -2.0))
    assert (stored["range_min"], stored["range_max"]) == (-3.0, 0.0)


def test_a_range_is_not_rounded_under_mixed_precision():
    layer = point(8, -1.2345678, 3.3333333, dtype="mixed_bfloat16")
    x = keras.ops.cast(X, "bfloat16")
    exact = point(8, -1.2345678, 3.3333333)(keras.ops.cast(x, "float32"))
    expected = keras.ops.cast(keras.ops.cast(exact, "bfloat16"), "float32")
    assert_close(layer(x), keras.ops.convert_to_numpy(expected), rtol=0, atol=0)


def test_gradients_pass_inside_the_range_only():
    layer = point(8, -1.0, 1.5)
    (of_input,), _ = gradients(layer, [X])
    edges = (np.abs(X + 1.0) > 0.01) & (np.abs(X - 1.5) > 0.01)
    inside = (X > -1.0) & (X < 1.5)
    expected = np.where(inside, normal(*X.shape, seed=99), 0.0)
    assert_close(of_input[edges], expected[edges])


def test_a_tracker_stands_in_place_of_the_rounding():
    layer, calls = point(8, -1.0, 1.0), []

    def tracker(layer, inputs, training):
        calls.append((layer, training))
        return inputs + 1.0

    layer.tracker = tracker
    assert_close(layer(X, training=True), X + 1.0)
    assert calls == [(layer, True)]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_kernels_are_rounded_by_column(bits):
    kernel = normal(6, 5) * np.array([1.0, 10.0, 0.01, 1e-4, 0.0], "float32")
    actual = keras.ops.convert_to_numpy(round_kernel(keras.ops.convert_to_tensor(kernel), bits))
    assert_close(actual, reference.round_kernel(kernel.astype("float64"), bits), atol=1e-6)
    scale = np.abs(kernel).max(axis=0)[:4] / (2 ** (bits - 1) - 1)
    steps = actual[:, :4] / scale
    assert_close(steps, np.rint(steps), atol=1e-3)
    np.testing.assert_array_equal(np.abs(np.rint(steps)).max(axis=0), 2 ** (bits - 1) - 1)


def test_kernels_are_rounded_by_block():
    kernel = normal(6, 5) * np.array([[1.0], [1.0], [1.0], [10.0], [0.01], [0.1]], "float32")
    actual = keras.ops.convert_to_numpy(round_kernel(keras.ops.convert_to_tensor(kernel), 4, 3))
    expected = []
    for rows in (kernel[:3], kernel[3:]):
        scale = np.abs(rows).max(axis=0) / 7
        # To 8 significant bits, as bfloat16 has them.
        scale = scale.astype("float32").astype(ml_dtypes.bfloat16).astype("float32")
        expected.append(np.rint(rows / scale) * scale)
    assert_close(actual, np.concatenate(expected), atol=1e-6)


def test_a_table_is_rounded_row_by_row():
    table = normal(6, 5)
    scale = np.abs(table).max(1, keepdims=True) / 127
    actual = keras.ops.convert_to_numpy(round_table(keras.ops.convert_to_tensor(table), 8))
    assert_close(actual, np.rint(table / scale) * scale, atol=1e-6)


def test_a_block_has_to_divide_the_width():
    with pytest.raises(ValueError, match="got width=5, kernel_block=4"):
        built(Projection(6, bits={"kernel_bits": 4, "kernel_block": 4}), X)


def test_what_lies_between_known_bounds_is_stored_in_known_steps():
    assert unit_range(8) == {"minimum": 0.0, "maximum": 255 / 256}
    assert tanh_range(8) == {"minimum": -1.0, "maximum": 127 / 128}
    assert unit_range(16) == tanh_range(16) == {"minimum": -1.0, "maximum": 32767 / 32768}
    assert symmetric_range(8) == {"minimum": -128 / 127, "maximum": 1.0}


@pytest.mark.parametrize("bounds", [
    unit_range(8), tanh_range(8), symmetric_range(8),
    {"minimum": STORED_MASKED_SCORE, "maximum": 0.0},
])  # fmt: skip
def test_the_zero_of_a_fixed_range_is_an_integer(bounds):
    """The converter rounds the middle of two to another one than FakeQuant does."""
    zero = -bounds["minimum"] / (bounds["maximum"] - bounds["minimum"]) * 255
    assert zero == pytest.approx(round(zero), abs=1e-9)


def test_a_sinusoid_stores_1_exactly():
    layer = SinusoidalPositionalEncoding(4, bits={"inner_bits": 8})
    found = np.array(built(layer, np.zeros((1, 4, 6), "float32"))(np.zeros((1, 4, 6), "float32")))
    assert_close(found[0, 0], [0.0, 1.0] * 3)


@pytest.mark.parametrize("use_bias", [False, True])
def test_projection_equals_the_reference(use_bias):
    layer = built(Projection(6, use_bias=use_bias), X)
    assert_close(layer(X), reference.projection(values(layer), X))
    check_gradients(layer, reference.projection, X)


def test_a_rounded_projection_passes_the_gradient_straight_through():
    layer = built(Projection(6, bits={"kernel_bits": 4}), X)
    w = values(layer)
    rounded = {**w, "kernel": reference.round_kernel(w["kernel"], 4)}
    assert_close(layer(X), reference.projection(rounded, X))
    (of_input,), of_weights = gradients(layer, [X])
    upstream = normal(3, 4, 6, seed=99)
    assert_close(of_input, upstream @ rounded["kernel"].T)
    expected = X.reshape(-1, 5).T @ upstream.reshape(-1, 6)
    assert_close(of_weights["kernel"], expected, atol=1e-5)


@pytest.mark.parametrize(
    "bits", [{}, {"kernel_bits": 4}, {"kernel_bits": 4, "row_bits": 8}], ids=str
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_kernel_that_is_rounded_once_gives_the_same_outputs(bits, dtype, monkeypatch):
    layer = built(Projection(6, bits=bits, dtype=dtype), X)
    inputs = [X, 3 * X]
    expected = [keras.ops.convert_to_numpy(layer(one)) for one in inputs]
    with layer.rounded_once(), monkeypatch.context() as patch:
        patch.setattr(layer, "rounded_kernel", None)
        for one, outputs in zip(inputs, expected, strict=True):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(one)), outputs)
    # What is assigned afterwards counts.
    layer.kernel.assign(np.zeros((5, 6)))
    assert np.ptp(keras.ops.convert_to_numpy(layer(X)), axis=(0, 1)).max() == 0.0


def test_a_zero_column_is_rounded_in_float16():
    layer = built(Projection(6, bits={"kernel_bits": 8}, dtype="mixed_float16"), X)
    layer.kernel.assign(np.zeros((5, 6)))
    expected = np.broadcast_to(values(layer)["bias"], (3, 4, 6))
    assert_close(layer(X), expected, rtol=1e-3)


def test_round_trips(tmp_path):
    check_round_trip(tmp_path, QuantPoint(8, symmetric=True), X)
    check_round_trip(tmp_path, QuantPoint(4, minimum=-1.0, maximum=2.0), X)
    check_round_trip(tmp_path, Projection(3, bits={"kernel_bits": 4}, use_bias=False), X)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precision(policy):
    check_precision(policy, lambda **kwargs: QuantPoint(8, **kwargs), X)
    check_precision(policy, lambda **kwargs: Projection(3, bits={"kernel_bits": 8}, **kwargs), X)


@pytest.mark.parametrize("bits", [1, 0, 17])
def test_other_bits_are_refused(bits):
    with pytest.raises(ValueError, match=f"got bits={bits}"):
        QuantPoint(bits)
    with pytest.raises(ValueError, match=f"got kernel_bits={bits}"):
        Projection(3, bits={"kernel_bits": bits})


def test_other_ranges_are_refused():
    with pytest.raises(ValueError, match="got minimum=None, maximum=1.0"):
        QuantPoint(8, maximum=1.0)
    with pytest.raises(ValueError, match="got minimum=0.5, maximum=1.0"):
        QuantPoint(8, minimum=0.5, maximum=1.0)
    with pytest.raises(ValueError, match="got minimum=nan, maximum=1.0"):
        point(8, float("nan"), 1.0)


def test_bits_are_one_mapping_of_five_names():
    bits = {"kernel_bits": 4, "kernel_block": 32}
    assert all_bits(bits) == {
        **bits, "row_bits": None, "activation_bits": None, "inner_bits": None
    }  # fmt: skip
    assert all_bits(None) == dict.fromkeys(all_bits({}))
    with pytest.raises(ValueError, match="among kernel_bits, .*, inner_bits, got 'kernel_bit'"):
        Projection(3, bits={"kernel_bit": 8})
    with pytest.raises(ValueError, match="got inner_bits=17"):
        Projection(3, bits={"inner_bits": 17})
