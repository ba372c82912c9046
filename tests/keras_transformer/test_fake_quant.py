"""Simulated rounding against TensorFlow's op, bit for bit, over its own arithmetic in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_transformer.fake_quant import fake_quant, fake_quant_gradients
from tests.keras_transformer.checks import gradients, normal

RANGES = [
    (-1.0, 3.0, 8), (-0.3, 0.71, 8), (0.0, 0.7, 8), (-2.5, 0.0, 8), (-6 * 128 / 127, 6.0, 8),
    (-3.3, 3.1, 4), (-1.234, 5.678, 16), (-7.5, 0.03, 8),
]  # fmt: skip


def values(low, high, bits):
    """Within the range and beyond it, on the grid, half-way between its values, and the bounds."""
    rng = np.random.default_rng(0)
    near = rng.normal(0, (high - low) / 2, 20000)
    halves = (high - low) / (2**bits - 1) * rng.integers(-300, 300, 4000) / 2
    return np.concatenate([near, halves, [low, high, 0.0, -0.0, 1e9, -1e9]]).astype("float32")


def expected(x, low, high, bits, narrow):
    """The rounded values, and where they are below and above the grid."""
    one = np.float32
    low, high, least, most = one(low), one(high), one(narrow), one(2**bits - 1)
    scale = (high - low) / (most - least)
    zero = np.floor(np.clip(least - low / scale, least, most) + one(0.5))
    low, high = (least - zero) * scale, (most - zero) * scale
    steps = (np.clip(x, low, high) - low) / scale
    rounded = np.floor(steps - np.floor(-low / scale + one(0.5)) + one(0.5)) * scale
    return rounded, x < low, x > high


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(("low", "high", "bits"), RANGES)
def test_values_and_gradients_are_those_of_tensorflow(low, high, bits, narrow):
    x = values(low, high, bits)
    upstream = np.random.default_rng(1).normal(size=x.shape).astype("float32")
    found = ops.convert_to_numpy(
        fake_quant(ops.convert_to_tensor(x), low, high, bits, narrow_range=narrow)
    )
    rounded, below, above = expected(x, low, high, bits, narrow)
    np.testing.assert_array_equal(found, rounded)
    bounds = [ops.convert_to_tensor(bound, "float32") for bound in (low, high)]
    both = map(ops.convert_to_tensor, (upstream, x))
    found_by = fake_quant_gradients(*both, *bounds, bits, narrow_range=narrow)
    actual = [ops.convert_to_numpy(one) for one in found_by]
    np.testing.assert_array_equal(actual[0], np.where(below | above, 0, upstream))
    # A sum of thousands of float32 values, in another order.
    tolerance = 1e-6 * np.abs(upstream).sum()
    for gradient, where in zip(actual[1:], (below, above), strict=True):
        np.testing.assert_allclose(gradient, upstream[where].sum(), rtol=0, atol=tolerance)
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    op, options = tf.quantization, {"num_bits": bits, "narrow_range": narrow}
    np.testing.assert_array_equal(op.fake_quant_with_min_max_vars(x, low, high, **options), found)
    others = op.fake_quant_with_min_max_vars_gradient(upstream, x, low, high, **options)
    np.testing.assert_array_equal(others[0], actual[0])
    np.testing.assert_allclose(others[1:], actual[1:], rtol=0, atol=tolerance)


def test_channels_have_ranges_of_their_own():
    lows, highs = (np.array(one, "float32") for one in zip((-1, 2), (-0.2, 5), (0, 1), strict=True))
    x, upstream = np.random.default_rng(0).normal(0, 2, (2, 40, 30, 3)).astype("float32")
    found = ops.convert_to_numpy(fake_quant(ops.convert_to_tensor(x), lows, highs, 8))
    bounds = [ops.convert_to_tensor(bound) for bound in (lows, highs)]
    both = map(ops.convert_to_tensor, (upstream, x))
    to_low = ops.convert_to_numpy(fake_quant_gradients(*both, *bounds, 8)[1])
    for channel, (low, high) in enumerate(zip(lows, highs, strict=True)):
        rounded, below, _ = expected(x[..., channel], low, high, 8, False)
        np.testing.assert_array_equal(found[..., channel], rounded)
        np.testing.assert_allclose(to_low[channel], upstream[..., channel][below].sum(), rtol=1e-3)


class Rounding(keras.layers.Layer):
    def call(self, x, low, high):
        return fake_quant(x, low, high, 8)


def test_autodiff_has_these_gradients():
    x = values(-1.0, 3.0, 8)
    bounds = [np.float32(-1.0), np.float32(3.0)]
    layer = Rounding()
    layer.build(())
    found, _ = gradients(layer, [x, *bounds])
    upstream = normal(*x.shape, seed=99)
    bounds = [ops.convert_to_tensor(bound) for bound in bounds]
    expected = fake_quant_gradients(*map(ops.convert_to_tensor, (upstream, x)), *bounds, 8)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, ops.convert_to_numpy(other), rtol=1e-5, atol=1e-3)


def test_other_types_are_rounded_in_float32():
    x = ops.convert_to_tensor(values(-1.0, 3.0, 8), "bfloat16")
    found = fake_quant(x, -1.0, 3.0, 8)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    rounded, *_ = expected(ops.convert_to_numpy(ops.cast(x, "float32")), -1.0, 3.0, 8, False)
    rounded = ops.cast(ops.cast(rounded, "bfloat16"), "float32")
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, (ops.cast(found, "float32"), rounded)))
