"""Kernels and tables on the symmetric grids that TFLite stores."""

from keras import ops


def round_kernel(kernel, bits, block=None):
    """Rounds a kernel to the symmetric grid that TFLite stores.

    Args:
        kernel: (width, units).
        bits: width of the stored integer.
        block: consecutive inputs that share a scale, a divisor of the width; all by default.

    Returns:
        The kernel with every block of a column a whole multiple of its scale,
        `max|block| / (2**(bits-1) - 1)`.
    """
    width, units = kernel.shape
    blocks = ops.reshape(kernel, (-1, block or width, units))
    scale = kernel_scale(kernel, bits, block)
    return ops.reshape(ops.round(blocks / scale) * scale, (width, units))


def kernel_scale(kernel, bits, block=None):
    """Returns the scales (width / block, 1, units) of `round_kernel`'s grid.

    The scale of a block has the 8 significant bits that XNNPACK keeps of it.
    """
    width, units = kernel.shape
    blocks = ops.reshape(kernel, (-1, block or width, units))
    largest = ops.max(ops.abs(blocks), axis=1, keepdims=True)
    scale = ops.maximum(largest, 1e-9) / (2 ** (bits - 1) - 1)
    return scale if block is None else ops.cast(ops.cast(scale, "bfloat16"), "float32")


def round_table(table, bits):
    """Rounds a table to the symmetric grid of one scale, with which a device looks up its rows."""
    scale = ops.maximum(ops.max(ops.abs(table)), 1e-9) / (2 ** (bits - 1) - 1)
    return ops.round(table / scale) * scale


def straight_through(values, rounded):
    """Returns the rounded values, with the gradient of the values themselves.

    Bengio et al. 2013, arXiv:1308.3432.
    """
    return values + ops.stop_gradient(rounded - values)
