"""Texts and labels of many rows, without an object for each."""

import itertools
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

# Rows that are decoded at a time where all are read.
_PART = 4096


class Texts(Sequence[str]):
    """Texts in one piece of memory, or of a file that is mapped into it.

    Args:
        data: (bytes,) uint8, the texts in UTF-8 one after the other; a lone surrogate, which JSON
            can hold, is written like any other character.
        ends: (rows,) int64, where each text ends in `data`.
    """

    def __init__(self, data: np.ndarray, ends: np.ndarray):
        self.data, self.ends = data, ends

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row):
        if isinstance(row, slice):
            first, last, step = row.indices(len(self))
            if step != 1:
                return [self[one] for one in range(first, last, step)]
            return self._decoded(first, max(first, last))
        if not -len(self) <= row < len(self):
            raise IndexError(f"Expected a row of {len(self)}, got {row}.")
        row %= len(self)
        return self._decoded(row, row + 1)[0]

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _PART):
            yield from self[first : first + _PART]

    def _decoded(self, first: int, last: int) -> list[str]:
        bounds = self.ends[max(first - 1, 0) : last].tolist()
        if first == 0:
            bounds.insert(0, 0)
        if first == last:
            return []
        start = bounds[0]
        data = self.data[start : bounds[-1]].tobytes()
        return [
            data[one - start : two - start].decode("utf-8", "surrogatepass")
            for one, two in itertools.pairwise(bounds)
        ]


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

    @property
    def first_rows(self) -> list[int]:
        """The first row of each different text."""
        return np.unique(self.codes, return_index=True)[1].tolist()

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
