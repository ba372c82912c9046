"""How a file stores the kernels and tables of a model: their types, and integers on a grid."""

import dataclasses
from collections import Counter
from collections.abc import Mapping

import keras
import numpy as np

from keras_transformer.edge.precision import Precision
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.frames import MelPowers
from keras_transformer.quantization import KernelLayer
from keras_transformer.rounding import SMALLEST_VALUE
from keras_transformer.zoo.models.build import all_layers

# Largest distance of a scaled value from an integer: the float32 error after the converter has
# multiplied a kernel by a constant.
_OFF_GRID = 1e-2
_ROWS = 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredKernels:
    """The required storage types of a file's kernels.

    Attributes:
        bits, block: width and block size of the kernels.
        tables: shapes (V, D) of the token tables that are stored in 8 bits.
        others: number of kernels stored in another type than the precision's, by type and shape
            (outputs first).
    """

    bits: int | None
    block: int | None
    tables: frozenset[tuple[int, int]]
    others: Mapping[tuple[str, tuple[int, ...]], int]


def stored_kernels(model: keras.Model, spec: Precision) -> StoredKernels:
    """Returns the required storage types for the file of a model."""
    others, tables = Counter(), set()
    for layer in all_layers(model) if spec.rounds_kernels else ():
        if isinstance(layer, KernelLayer) and layer.kernel_bits != spec.kernel_bits:
            kind = "FLOAT32" if layer.kernel_bits is None else "INT8"
            *inputs, units = layer.kernel.shape
            # Those of projections are transposed, those of convolutions begin with the outputs.
            others[kind, (units, *inputs)] += 1
        if isinstance(layer, TokenEmbedding):
            shape = tuple(layer.embeddings.shape)
            is_rounded = layer.rounds_table or layer.point.bits is not None
            others["INT8" if is_rounded else "FLOAT32", shape] += 1
            if is_rounded:
                tables.add(shape)
        if isinstance(layer, MelPowers):
            others.update(("FLOAT32", one.shape[::-1]) for one in layer.constants)
    return StoredKernels(
        bits=spec.kernel_bits, block=spec.kernel_block, tables=frozenset(tables), others=others
    )


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
