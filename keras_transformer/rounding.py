"""Rounding of kernels, tables and rows of activations to the grids that devices use."""

import math

from keras import ops

# Scales of blocks are stored as float16: XNNPACK refuses 0, which a runtime may make of subnormal
# numbers.
SMALLEST_BLOCK_SCALE = 2.0**-14
# Largest value from which the scale of a channel or a table is computed at least.
SMALLEST_VALUE = 1e-9


def round_rows(x, bits):
    """Rounds each row of (..., D) to the grid that a runtime computes for it when it runs.

    The grid has `2**bits` values between the row's own bounds, widened to include zero, which is on
    the grid. It is computed step by step in float32, as in XNNPACK
    (`xnn_f32_qd8_asymmetric_quantization_params`) and, where the file asks for asymmetric inputs,
    in the kernels of TensorFlow Lite.

    Returns:
        float32 (..., D).
    """
    lowest, highest = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1.0
    x = ops.cast(x, "float32")
    minimum = ops.minimum(ops.min(x, axis=-1, keepdims=True), 0.0)
    maximum = ops.maximum(ops.max(x, axis=-1, keepdims=True), 0.0)
    width = maximum - minimum
    steps = (highest - lowest) / ops.where(width > 0.0, width, highest - lowest)
    below, above = lowest + minimum * steps, highest + maximum * steps
    # The zero point is computed from the bound at which its rounding error is smaller.
    zero = ops.where(below + above > 0.0, lowest - minimum * steps, highest - maximum * steps)
    zero = ops.round(ops.clip(zero, lowest, highest))
    return (ops.clip(ops.round(x * steps) + zero, lowest, highest) - zero) * (1.0 / steps)


class SharedRows:
    """`round_rows` for eager calls that rounds a tensor once for all that read it in succession."""

    def __init__(self):
        self._last = None

    def __call__(self, x, bits):
        if self._last is None or self._last[0] is not x or self._last[1] != bits:
            self._last = x, bits, round_rows(x, bits)
        return self._last[2]


def round_kernel(kernel, bits, block=None, factor=1.0):
    """Rounds a kernel to the symmetric grid that TFLite stores.

    Args:
        kernel: (..., units), of which all axes before the last together are its width.
        bits: width of the stored integer.
        block: number of consecutive inputs that share a scale, a divisor of the width; by default
            all.
        factor: factor of the outputs; the device stores the kernel times it.

    Returns:
        The kernel, with every block of a column an integer multiple of its scale,
        `max|block| / (2**(bits-1) - 1)` or, of blocks, `SMALLEST_BLOCK_SCALE` if that is larger.
    """
    scale = kernel_scale(kernel, bits, block, factor)
    return ops.reshape(ops.round(_blocks(kernel, block) / scale) * scale, kernel.shape)


def kernel_scale(kernel, bits, block=None, factor=1.0):
    """Returns the scales (width / block, 1, units) of `round_kernel`'s grid.

    The scale of a block, times the factor, has the 8 significant bits that XNNPACK retains, and is
    at least `SMALLEST_BLOCK_SCALE`.
    """
    scale = _scale(ops.max(ops.abs(_blocks(kernel, block)), axis=1, keepdims=True), bits)
    if block is None:
        return scale
    scale = ops.cast(ops.cast(scale * factor, "bfloat16"), "float32")
    return ops.maximum(scale, SMALLEST_BLOCK_SCALE) / factor


def _blocks(kernel, block):
    """The kernel as (width / block, block, units)."""
    *inputs, units = kernel.shape
    return ops.reshape(kernel, (-1, block or math.prod(inputs), units))


def round_table(table, bits):
    """Rounds rows of a table (..., D) to symmetric grids, each between its own bounds."""
    largest = ops.maximum(ops.max(table, -1, keepdims=True), -ops.min(table, -1, keepdims=True))
    scale = _scale(largest, bits)
    return ops.round(table / scale) * scale


def _scale(largest, bits):
    """The step of a symmetric grid; that of zeros alone is positive too, as runtimes require."""
    return ops.maximum(largest, SMALLEST_VALUE) / (2 ** (bits - 1) - 1)


def straight_through(values, rounded):
    """Straight-through estimator: the rounded values, with the gradient of the original ones.

    Bengio et al. 2013, arXiv:1308.3432.
    """
    return values + ops.stop_gradient(rounded - values)
