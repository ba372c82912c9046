"""The scales and zero points of a tensor, read from bytes that nobody vouches for."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_transformer.edge.runtime.checks.tables import Damaged, Table

_RANGES = {
    "INT2": (-2, 1), "INT4": (-8, 7), "INT8": (-128, 127), "UINT8": (0, 255),
    "INT16": (-32768, 32767),
}  # fmt: skip
_BLOCKWISE = 2
# No scale of a tensor that holds numbers is further from 1.
_SCALES = (1e-30, 1e30)
# What XNNPACK can multiply by between the scales of an op's inputs and that of its output. It ends
# the process where it is more.
_RESCALED = (2.0**-32, 2.0**8)


def read_scales(
    table: Table, type_name: str, shape: tuple[int, ...]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Returns the scales and zero points of a tensor, None of one that has none.

    Raises:
        Damaged: they do not fit its type and its shape.
    """
    scales, zero_points = table.array(2, "float32"), table.array(3, "int64")
    if table.scalar(4, "uint8") or table.has(5):
        raise Damaged("a tensor is quantized in another way than by scale and zero point")
    if scales is None or not len(scales):
        if zero_points is not None and len(zero_points):
            raise Damaged("a tensor has zero points without a scale")
        return None, None
    axis = table.scalar(6, "int32")
    if not 0 <= axis < max(1, len(shape)):
        raise Damaged(f"a tensor of the shape {list(shape)} has scales along axis {axis}")
    counts = {1, shape[axis]} if shape else {1}
    if len(scales) not in counts or zero_points is None or len(zero_points) != len(scales):
        found = 0 if zero_points is None else len(zero_points)
        raise Damaged(
            f"a tensor of the shape {list(shape)} has {len(scales)} scales and {found} zero points"
        )
    # NaN is within no bounds.
    if not (scales.min() >= _SCALES[0] and scales.max() <= _SCALES[1]):
        raise Damaged(f"a tensor has scales from {scales.min()} to {scales.max()}")
    low, high = _RANGES.get(type_name, (0, 0))
    if zero_points.min() < low or zero_points.max() > high:
        raise Damaged(f"a tensor of {type_name} has zero points outside {low} to {high}")
    return scales, zero_points


def read_blocks(table: Table) -> tuple[int, int, int] | None:
    """Returns the tensors of the scales and zero points of blocks, and the size of a block."""
    if table.scalar(4, "uint8") != _BLOCKWISE:
        return None
    details = table.table(5)
    if details is None:
        raise Damaged("a tensor has blocks of no size")
    return (
        details.scalar(0, "int32"), details.scalar(1, "int32"), details.scalar(2, "int32")
    )  # fmt: skip


def is_rescaled(given: Sequence[Any], made: Sequence[Any], *, multiplies: bool) -> bool:
    """Whether an op's integers have scales between which every kernel can convert.

    Args:
        given, made: tensors that the op reads and makes; an absent one is None.
        multiplies: whether it multiplies its first two inputs.
    """
    before = [
        (float(one.scales.min()), float(one.scales.max()))
        for one in given[:2] if one is not None and one.scales is not None
    ]  # fmt: skip
    after = [one.scales for one in made if one.scales is not None]
    if not before or not after:
        return True
    smallest, largest = (math.prod, math.prod) if multiplies else (min, max)
    least = smallest(low for low, _ in before) / max(float(one.max()) for one in after)
    most = largest(high for _, high in before) / min(float(one.min()) for one in after)
    return _RESCALED[0] <= least and most < _RESCALED[1]
