"""The integers of float values that lie on a symmetric grid."""

import numpy as np

from keras_transformer.rounding import SMALLEST_VALUE

# Largest distance of a scaled value from an integer: the float32 error after the converter has
# multiplied a kernel by a constant.
_OFF_GRID = 1e-2
_ROWS = 1024


def step_of(largest: np.ndarray, bits: int) -> np.ndarray:
    """Returns the step of `round_kernel`'s grid and of `round_table`'s, from values on it."""
    return np.maximum(largest, np.float32(SMALLEST_VALUE)) / np.float32(2 ** (bits - 1) - 1)


def integers_of(values: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
    """Returns values divided by their scale as int8, or None if they are not on its grid."""
    integers = np.empty(values.shape, np.int8)
    # In parts: the exact quotients of a table take twice its memory.
    for first in range(0, len(values), _ROWS):
        rows = slice(first, first + _ROWS)
        exact = values[rows].astype(np.float64) / (scale if len(scale) == 1 else scale[rows])
        rounded = np.rint(exact)
        if not np.abs(exact - rounded).max() < _OFF_GRID:
            return None
        integers[rows] = rounded
    return integers


def packed(integers: np.ndarray) -> np.ndarray:
    """Returns 4-bit integers packed two per byte, the first in the lower half."""
    halves = integers.reshape(-1).view(np.uint8) & 0xF
    return halves[::2] | halves[1::2] << 4
