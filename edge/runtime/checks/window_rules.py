"""Shapes and types of the ops that slide a window over an image, as in `op_rules`.

Imports only the standard library.
"""

from collections.abc import Sequence

from keras_transformer.edge.runtime.checks.graph import Op, Tensor

_SAME, _VALID = 0, 1
# The schema's number of the type of a bias among the options of a convolution.
_BIAS_TYPES = {0: "FLOAT32", 2: "INT32", 4: "INT64"}


def convolution(given: Sequence[Tensor | None], made: Sequence[Tensor], op: Op) -> bool:
    """Whether a CONV_2D makes what it says."""
    [out], (x, kernel) = made, given[:2]
    bias = given[2] if len(given) > 2 else None
    units, *window, channels = kernel.shape
    strides = op.option(2), op.option(1)
    dilations = op.option(5, default=1), op.option(4, default=1)
    kinds = x.type, kernel.type, out.type
    fits = (
        len(given) <= 3 and kinds in _CONVOLUTIONS and x.shape[3] == channels > 0
        and dilations == (1, 1) and out.shape == (*_places(x, window, strides, op), units)
        and (bias is None or bias.shape == (units,))
    )  # fmt: skip
    if not fits or x.type != "INT16" or bias is None:
        return fits
    # LiteRT takes the bias for another type than it is where the op does not name it.
    return _BIAS_TYPES.get(op.option(6, "int8")) == bias.type


_CONVOLUTIONS = (
    ("FLOAT32", "FLOAT32", "FLOAT32"), ("FLOAT32", "INT8", "FLOAT32"), ("INT8", "INT8", "INT8"),
    ("INT16", "INT8", "INT16"),
)  # fmt: skip


def max_pool(given: Sequence[Tensor | None], made: Sequence[Tensor], op: Op) -> bool:
    """Whether a MAX_POOL_2D makes what it says."""
    [x], [out] = given, made
    window, strides = (op.option(4), op.option(3)), (op.option(2), op.option(1))
    return x.type == out.type and out.shape == (*_places(x, window, strides, op), x.shape[3])


def _places(x, window, strides, op):
    """The batch and the places of a window on an image, height first."""
    batch, *sizes, _ = x.shape
    padding = op.option(0, "int8")
    if len(sizes) != 2 or padding not in (_SAME, _VALID) or min(*window, *strides) < 1:
        raise ValueError(padding)
    if padding == _SAME:
        return batch, *(-(-size // step) for size, step in zip(sizes, strides, strict=True))
    return batch, *(
        max(0, (size - wide) // step + 1)
        for size, wide, step in zip(sizes, window, strides, strict=True)
    )
