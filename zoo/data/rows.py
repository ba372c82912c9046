"""Examples that a task has read, which may be handed on in place of a file."""

import abc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


class Rows(abc.ABC):
    """What `Task.read` returns.

    Attributes:
        path: the file, or the name of data in memory.
    """

    path: Path | str

    @abc.abstractmethod
    def rows(self) -> Iterator[Sequence[Any]]:
        """Yields the texts, numbers and labels of each row; their hash identifies the data."""
