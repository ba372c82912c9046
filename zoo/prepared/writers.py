"""Columns that are written to files part by part, and mapped when they are whole."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_transformer.zoo.columns.ragged import Fixed, Ragged
from keras_transformer.zoo.columns.texts import UTF8, Coded, Texts
from keras_transformer.zoo.modalities.modality import InputSpec

# So many different values a column of labels may have; with more it is one of texts.
_MAX_VALUES = 1 << 16


class ArrayWriter:
    """Writes parts of an array one after the other into a file.

    Args:
        path: file.
        dtype: type of the array.
    """

    def __init__(self, path: Path, dtype: str):
        self._dtype = dtype
        self._file = open(path, "wb")

    def add(self, part: Sequence | np.ndarray) -> None:
        """Writes a part."""
        # Not by NumPy's `tofile`, which says nothing where the last bytes could not be written.
        self._file.write(np.ascontiguousarray(np.asarray(part, self._dtype)).tobytes())

    def close(self) -> None:
        """Ends the file."""
        self._file.close()


def mapped(path: Path, dtype: str, shape: tuple[int, ...] = (-1,)) -> np.ndarray:
    """Returns the array (rows, ...) of a file, mapped; one of no bytes cannot be."""
    if not path.stat().st_size:
        return np.zeros([max(size, 0) for size in shape], dtype)
    return np.memmap(path, dtype, "r").reshape(shape)


class TextsWriter:
    """Writes a column of texts.

    Args:
        folder: folder of its files.
        name: name of the column there.
    """

    def __init__(self, folder: Path, name: str):
        self._data = open(folder / f"{name}.utf8", "wb")
        self._bounds = ArrayWriter(folder / f"{name}.bounds", "int64")
        self._bounds.add([0])
        self._end = 0

    def add(self, texts: Sequence[str]) -> None:
        """Writes the texts of further rows."""
        data = [text.encode(*UTF8) for text in texts]
        self._data.write(b"".join(data))
        ends = self._end + np.cumsum([len(one) for one in data])
        self._bounds.add(ends)
        self._end = int(ends[-1])

    def close(self) -> None:
        """Ends the files."""
        self._data.close()
        self._bounds.close()


class LabelsWriter:
    """Writes a column of few different values, or one of texts where they are many.

    Args:
        folder: folder of its files.
        name: name of the column there.
    """

    def __init__(self, folder: Path, name: str):
        self._folder, self._name = folder, name
        self._codes = ArrayWriter(folder / f"{name}.codes", "int32")
        self._index: dict[str, int] = {}
        self._texts: TextsWriter | None = None

    def add(self, values: Sequence[str]) -> None:
        """Writes the values of further rows."""
        if self._texts is None and len(self._index) <= _MAX_VALUES:
            index = self._index
            self._codes.add([index.setdefault(value, len(index)) for value in values])
            return
        if self._texts is None:
            self._codes.close()
            path = self._folder / f"{self._name}.codes"
            known = list(self._index)
            self._texts = TextsWriter(self._folder, self._name)
            codes = mapped(path, "int32")
            for first in range(0, len(codes), _MAX_VALUES):
                part = codes[first : first + _MAX_VALUES]
                self._texts.add([known[code] for code in part.tolist()])
            path.unlink()
        self._texts.add(values)

    def close(self) -> None:
        """Ends the files."""
        if self._texts is not None:
            self._texts.close()
            return
        self._codes.close()
        values = json.dumps(list(self._index))
        (self._folder / f"{self._name}.values").write_text(values)


def read_column(folder: Path, name: str, key: str) -> Texts | Coded:
    """Returns the column that one of the writers wrote.

    Args:
        folder: folder of its files.
        name: name of the column there.
        key: see `Texts`.
    """
    if (folder / f"{name}.values").exists():
        values = json.loads((folder / f"{name}.values").read_text())
        return Coded(mapped(folder / f"{name}.codes", "int32"), values)
    bounds = mapped(folder / f"{name}.bounds", "int64")
    return Texts(mapped(folder / f"{name}.utf8", "uint8"), bounds[:-1], bounds[1:], key)


class RowsWriter:
    """Writes the rows of an input of a model.

    Args:
        folder: folder of its files.
        spec: spec of the input.
        dtype: type in which the values are written, which may be shorter than the spec's.
    """

    def __init__(self, folder: Path, spec: InputSpec, dtype: str):
        self._values = ArrayWriter(folder / f"{spec.name}.values", dtype)
        self._ends = None
        if spec.is_variable:
            self._ends = ArrayWriter(folder / f"{spec.name}.ends", "int64")
        self._end = 0

    def add(self, values: np.ndarray, lengths: np.ndarray) -> None:
        """Writes further rows: their values (positions, ...) or (rows, ...), and their lengths."""
        self._values.add(values)
        if self._ends is not None:
            ends = self._end + np.cumsum(lengths, dtype=np.int64)
            self._ends.add(ends)
            self._end = int(ends[-1])

    def close(self) -> None:
        """Ends the files."""
        self._values.close()
        if self._ends is not None:
            self._ends.close()


def read_rows(folder: Path, spec: InputSpec, dtype: str, digest: bytes) -> Ragged | Fixed:
    """Returns the rows that `RowsWriter` wrote.

    Args:
        folder, spec, dtype: see `RowsWriter`.
        digest: see `Ragged`.
    """
    values = mapped(folder / f"{spec.name}.values", dtype, (-1, *spec.shape[1:]))
    if not spec.is_variable:
        return Fixed(values.reshape(-1, *spec.shape), spec, digest)
    return Ragged(values, mapped(folder / f"{spec.name}.ends", "int64"), spec, digest)
