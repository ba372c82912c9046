"""The same integers in ops that cost an NPU fewer cycles.

Arm's compiler makes a pooling of a mean over the last axis, which an NPU computes one value after
another, and fills its multipliers with a product.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.targets.ethos.edits import TYPES, Edited

# Version of TFLite's kernel that keeps the number of dimensions, in 8 bits.
_KEEPS_DIMENSIONS = 5
# Neighbours of 1/D that are tried on either side.
_NEAR = 8


def faster(flatbuffer: bytes) -> bytes:
    """Returns a graph whose means over the last axis are products with ones of the scale 1/D.

    A mean for which no float32 near 1/D makes XNNPACK's factor of a product that of its mean stays.

    Args:
        flatbuffer: a file's graph of integers.
    """
    edited = Edited(flatbuffer)
    for op in edited.ops("MEAN"):
        _multiply(edited, op)
    edited.drop_unread()
    return bytes(edited)


def _multiply(edited: Edited, op: schema.OperatorT) -> None:
    place, axes = int(op.inputs[0]), edited.constant(op.inputs[1])
    *_, width = shape = edited.shape(place)
    is_last = axes is not None and axes.size == 1 and axes.item() in (-1, len(shape) - 1)
    if not is_last or not op.builtinOptions.keepDims:
        return
    scale = _scale(edited.grid(place)[0], edited.grid(op.outputs[0])[0], width)
    if scale is None:
        return
    ones = edited.add(
        f"ones_{place}", (1, width), TYPES.INT8, scale=scale, values=np.ones((1, width), np.int8)
    )
    options = schema.FullyConnectedOptionsT()
    options.keepNumDims = True
    kind = schema.BuiltinOptions.FullyConnectedOptions
    edited.becomes(
        op, "FULLY_CONNECTED", (place, ones, -1), options, kind, version=_KEEPS_DIMENSIONS
    )


def _scale(step: float, out: float, width: int) -> np.float32 | None:
    """The scale by which a product with ones has the factor of a mean, see `kernels.mean`."""
    f = np.float32
    wanted = f(f(step) / f(out)) * (f(1) / f(width))
    middle = f(1 / width)
    near = [middle]
    for end in (f(0), f(1)):
        one = middle
        for _ in range(_NEAR):
            one = np.nextafter(one, end)
            near.append(one)
    return next((one for one in near if f(f(step) * one) / f(out) == wanted), None)
