"""Rows of one of a model's inputs, in one piece of memory, as batches gather them."""

import hashlib
from collections.abc import Sequence
from typing import overload

import numpy as np

from keras_transformer.zoo.columns.pages import give_back
from keras_transformer.zoo.modalities.modality import InputSpec


class Ragged(Sequence[np.ndarray]):
    """Rows of different lengths, one after the other.

    Args:
        values: (positions, ...) of all rows, in the memory or of a file that is mapped into it. Of
            ids the type may be a shorter one than the spec's.
        ends: (rows,) int64, where each row ends in `values`.
        spec: spec of the input.
        digest: identifies the rows; by default the SHA-256 of the arrays.
        lengths: (rows,) of rows that overlap or have gaps between them.

    Attributes:
        lengths: (rows,) of the rows.
    """

    def __init__(
        self, values: np.ndarray, ends: np.ndarray, spec: InputSpec,
        digest: bytes | None = None, lengths: np.ndarray | None = None,
    ):  # fmt: skip
        self.values, self.ends, self._digest = values, ends, digest
        self.lengths = np.diff(ends, prepend=0) if lengths is None else lengths
        give_back(ends)
        if len(ends) and self.lengths.max() <= np.iinfo(np.int32).max:
            self.lengths = self.lengths.astype(np.int32)
        self._dtype = np.dtype(spec.dtype)
        self._padding = np.array(spec.padding, spec.dtype)

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], spec: InputSpec) -> "Ragged":
        """Returns arrays (n, ...) of any length n as rows."""
        if isinstance(rows, Ragged):
            return rows
        ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
        empty = np.zeros((0, *spec.shape[1:]), spec.dtype)
        return cls(np.concatenate([empty, *rows]).astype(spec.dtype), ends, spec)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, row: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, row: slice) -> list[np.ndarray]: ...

    def __getitem__(self, row):
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        end = self.ends[row]
        return np.asarray(self.values[end - self.lengths[row] : end], self._dtype)

    def digest(self) -> bytes:
        """Identifies the rows."""
        return self._digest or _sha256(self.ends, self.lengths, self.values)

    def pad(self, rows: np.ndarray, width: int) -> np.ndarray:
        """Returns selected rows as (len(rows), width, ...), with padding after their end."""
        lengths = self.lengths[rows]
        columns = np.arange(width)
        inside = columns < lengths[:, None]
        padded = np.full((*inside.shape, *self.values.shape[1:]), self._padding, self._dtype)
        places = (self.ends[rows] - lengths)[:, None] + columns
        padded[inside] = self.values[places[inside]]
        return padded


class Fixed(Sequence[np.ndarray]):
    """Rows of one shape.

    Args:
        values: (rows, ...) of all rows, in the memory or of a file that is mapped into it.
        spec: spec of the input.
        digest: see `Ragged`.

    Attributes:
        lengths: (rows,) numbers of positions, all the same.
    """

    def __init__(self, values: np.ndarray, spec: InputSpec, digest: bytes | None = None):
        self.values, self._digest = values, digest
        self.lengths = np.broadcast_to(np.int32(spec.positions), len(values))

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], spec: InputSpec) -> "Fixed":
        """Returns arrays of the spec's shape as rows."""
        return rows if isinstance(rows, Fixed) else cls(spec.pad(rows), spec)

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, row: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, row: slice) -> list[np.ndarray]: ...

    def __getitem__(self, row):
        return list(self.values[row]) if isinstance(row, slice) else self.values[row]

    def digest(self) -> bytes:
        """Identifies the rows."""
        return self._digest or _sha256(self.values)

    def pad(self, rows: np.ndarray, width: int) -> np.ndarray:
        """Returns selected rows (len(rows), ...), which need no padding."""
        return np.asarray(self.values[rows])


def column(rows: Sequence[np.ndarray], spec: InputSpec) -> Ragged | Fixed:
    """Returns the rows of an input in one piece of memory."""
    return Ragged.of(rows, spec) if spec.is_variable else Fixed.of(rows, spec)


def _sha256(*arrays: np.ndarray) -> bytes:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.digest()
