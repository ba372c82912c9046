"""Texts and labels of many rows, without an object for each."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from keras_transformer.zoo.columns.pages import give_back

# Rows that are decoded at a time where all are read.
_PART = 4096
# Bytes that are read for a byte of texts among them at most, where rows have gaps between them.
_MOST_BETWEEN = 512
UTF8 = ("utf-8", "surrogatepass")


class Texts(Sequence[str]):
    """Texts in one piece of memory, or of a file that is mapped into it.

    Args:
        data: (bytes,) uint8, the texts in UTF-8; a lone surrogate, which JSON can hold, is written
            like any other character.
        starts, ends: (rows,) int64, where each text begins and ends in `data`.
        key: identifies the texts; empty where nothing does.
    """

    def __init__(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray, key: str = ""):
        self.data, self.starts, self.ends, self.key = data, starts, ends, key

    @classmethod
    def of(cls, texts: Sequence[str], key: str = "") -> "Texts":
        """Returns texts in one piece of memory."""
        data = [text.encode(*UTF8) for text in texts]
        sizes = np.array([len(one) for one in data], np.int64)
        ends = np.cumsum(sizes)
        return cls(np.frombuffer(b"".join(data), np.uint8), ends - sizes, ends, key)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Texts":
        """Returns the texts of the given rows, in the same memory."""
        rows = np.asarray(rows)
        digest = hashlib.sha256(np.ascontiguousarray(rows, np.int64)).hexdigest()
        key = self.key and f"{self.key} {digest}"
        starts, ends = np.array(self.starts[rows]), np.array(self.ends[rows])
        give_back(self.ends)
        return Texts(self.data, starts, ends, key)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row):
        if isinstance(row, slice):
            return [*Texts(self.data, self.starts[row], self.ends[row])]
        return self.data[self.starts[row] : self.ends[row]].tobytes().decode(*UTF8)

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _PART):
            part = self.part(first, first + _PART)
            data = part.data.tobytes()
            bounds = zip(part.starts.tolist(), part.ends.tolist(), strict=True)
            yield from (data[one:two].decode(*UTF8) for one, two in bounds)

    def part(self, first: int, last: int) -> "Texts":
        """Returns the texts of rows `first` to `last` in a piece of memory of their own."""
        starts, ends = (np.array(bounds[first:last]) for bounds in (self.starts, self.ends))
        if not len(starts):
            return Texts(np.zeros(0, np.uint8), starts, ends)
        lengths, first = ends - starts, int(starts.min())
        size = int(ends.max()) - first
        if size <= _MOST_BETWEEN * max(1, int(lengths.sum())):
            return Texts(self._read(first, size), starts - first, ends - first)
        own = np.cumsum(lengths)
        parts = [self.data[one:two] for one, two in zip(starts, ends, strict=True)]
        return Texts(np.concatenate(parts), own - lengths, own)

    def _read(self, first: int, size: int) -> np.ndarray:
        """Some bytes in memory of their own."""
        if isinstance(self.data, np.memmap):
            # Read, not mapped: a pass over all rows would leave the whole file in the process.
            return np.fromfile(self.data.filename, np.uint8, size, offset=first)
        return np.array(self.data[first : first + size])


def joined(parts: Sequence[Sequence[str]]) -> Sequence[str]:
    """Returns texts of several columns as one."""
    if len(parts) == 1:
        return parts[0]
    if not all(isinstance(part, Texts) for part in parts):
        return list(itertools.chain(*parts))
    data = [part.part(0, len(part)) for part in parts]
    sizes = np.cumsum([0, *(len(one.data) for one in data[:-1])])
    placed = list(zip(data, sizes, strict=True))
    keys = [part.key for part in parts]
    return Texts(
        np.concatenate([one.data for one in data]),
        np.concatenate([one.starts + size for one, size in placed]),
        np.concatenate([one.ends + size for one, size in placed]),
        " ".join(keys) if all(keys) else "",
    )


class Coded(Sequence[str]):
    """Texts of which there are few different ones, such as labels.

    Args:
        codes: (rows,) index of each row's text in `values`.
        values: the different texts, in the order in which they first occur.
    """

    def __init__(self, codes: np.ndarray, values: Sequence[str]):
        self.codes, self.values = codes, list(values)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Coded":
        """Returns texts as codes."""
        if isinstance(texts, Coded):
            return texts
        index: dict[str, int] = {}
        codes = np.fromiter(
            (index.setdefault(text, len(index)) for text in texts), np.int32, len(texts)
        )
        return cls(codes, list(index))

    def take(self, rows: Sequence[int] | np.ndarray) -> "Coded":
        """Returns the texts of the given rows."""
        codes, places = np.unique(self.codes[np.asarray(rows)], return_inverse=True)
        return Coded(places.astype(np.int32), [self.values[code] for code in codes])

    @property
    def first_rows(self) -> list[int]:
        """The first row of each different text; those of no row are not among `values`."""
        first = np.zeros(len(self.values), np.int64)
        first[self.codes[::-1]] = np.arange(len(self.codes))[::-1]
        return first.tolist()

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row):
        if isinstance(row, slice):
            return [self.values[code] for code in self.codes[row].tolist()]
        return self.values[self.codes[row]]

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _PART):
            yield from self[first : first + _PART]
