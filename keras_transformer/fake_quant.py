"""Simulated rounding to a range's grid, as TensorFlow's op does it, in operations of any backend.

The arithmetic is that of TensorFlow's `fake_quant_with_min_max_vars` and of its form for channels,
step by step in float32, so that a model has the same outputs on each backend: the bounds are nudged
so that zero is on the grid (Jacob et al. 2018, arXiv:1712.05877, section 3).
"""

import keras
from keras import ops


def fake_quant(x, minimum, maximum, bits, *, narrow_range=False):
    """Rounds values to `2**bits` values between two bounds, with TensorFlow's gradients.

    Args:
        x: (..., C).
        minimum, maximum: float32 bounds of a range that contains zero, () or (C,).
        bits: width of the stored integer.
        narrow_range: whether the smallest integer is left out.

    Returns:
        Tensor of the shape and type of `x`. A value within the range has the gradient of what it is
        rounded to; one beyond gives that to the bound.
    """
    minimum, maximum = (ops.convert_to_tensor(bound, "float32") for bound in (minimum, maximum))

    @ops.custom_gradient
    def rounded(x, minimum, maximum):
        low, high, scale = _nudged(minimum, maximum, bits, narrow_range)
        zero = ops.floor(-low / scale + 0.5)
        shifted = ops.clip(x, low, high) - low
        # XLA makes of a division by one number a product with its rounded reciprocal; the divisor
        # is an array that equals the scale.
        steps = shifted / ops.maximum(scale, -shifted)
        outputs = ops.floor(steps - zero + 0.5) * scale

        def gradient(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream
            return fake_quant_gradients(
                upstream, x, minimum, maximum, bits, narrow_range=narrow_range
            )

        return outputs, gradient

    dtype = keras.backend.standardize_dtype(x.dtype)
    return ops.cast(rounded(ops.cast(x, "float32"), minimum, maximum), dtype)


def fake_quant_gradients(upstream, x, minimum, maximum, bits, *, narrow_range=False):
    """Returns the gradients of the values and of both bounds of `fake_quant`.

    Args:
        upstream: (..., C), gradient of the rounded values.
        x, minimum, maximum, bits, narrow_range: see `fake_quant`.
    """
    low, high, _ = _nudged(minimum, maximum, bits, narrow_range)
    below, above = x < low, x > high
    axes = tuple(range(len(x.shape) - len(minimum.shape)))

    def summed(where):
        return ops.sum(ops.where(where, upstream, 0.0), axis=axes)

    inside = ops.where(ops.logical_or(below, above), 0.0, upstream)
    return inside, summed(below), summed(above)


def _nudged(minimum, maximum, bits, narrow_range):
    """The bounds of the grid and its step."""
    least, most = float(narrow_range), 2.0**bits - 1.0
    # The maximum is the first; see above for why it stands here.
    scale = (maximum - minimum) / ops.maximum(most - least, minimum)
    zero = ops.clip(least - minimum / scale, least, most)
    # C's round() rounds halves up, NumPy's to even.
    zero = ops.floor(zero) + ops.cast(zero - ops.floor(zero) >= 0.5, "float32")
    # Zero is on the grid. Without its mention XLA would join the product with the subtraction that
    # reads it, and round once.
    low = ops.minimum((least - zero) * scale, 0.0)
    return low, ops.maximum((most - zero) * scale, 0.0), scale
