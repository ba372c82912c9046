"""Rows: examples read by a task, which can replace a file."""

import abc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


class Rows(abc.ABC):
    """Examples as returned by `Task.read`.

    Attributes:
        path: file of the rows, or the name of data in memory.
    """

    path: Path | str

    @abc.abstractmethod
    def rows(self) -> Iterator[Sequence[Any]]:
        """Yields the texts, numbers and labels of each row, whose hash identifies the data."""
