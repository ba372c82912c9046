"""Rows: examples read by a task, which can replace a file, and splits of them in two."""

import abc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.errors import InputError


class Rows(abc.ABC):
    """Examples as returned by `Task.read`.

    Attributes:
        path: file of the rows, or the name of data in memory.
    """

    path: Path | str

    @abc.abstractmethod
    def rows(self) -> Iterator[Sequence[Any]]:
        """Yields the texts, numbers and labels of each row, whose hash identifies the data."""


def sampled(examples: Any, most: int) -> Any:
    """Returns examples, or so many of them, evenly spaced, if there are more."""
    # Plain text has no rows.
    count = len(examples) if hasattr(examples, "take") else 0
    if count <= most:
        return examples
    return examples.take(np.arange(most) * count // most)


def split_rows(
    groups: np.ndarray, share: float, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of the rows of two parts, ascending.

    Args:
        groups: group (rows,) of each row, of which both parts have their share.
        share: fraction of the rows in the second part; the first has at least one row of each
            group.
        seed: seed of the split.

    Raises:
        InputError: if the share is not between 0 and 1, or leaves a part without rows.
    """
    check_share(share)
    order = np.random.default_rng(seed).permutation(len(groups))
    chosen, number, due = np.zeros(len(groups), bool), 0, 0.0
    for group in np.unique(groups):
        rows = order[groups[order] == group]
        due += share * len(rows)
        count = int(np.clip(round(due) - number, 0, len(rows) - 1))
        chosen[rows[:count]] = True
        number += count
    if not number:
        raise InputError(
            f"Expected validation to be a share of the training data that holds a row, "
            f"got validation={share} of {len(groups)} rows."
        )
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def check_share(share: float) -> None:
    """Raises InputError if a validation share is not between 0 and 1."""
    if not 0 < share < 1:
        raise InputError(
            f"Expected validation to be data or a share between 0 and 1, got validation={share}."
        )
