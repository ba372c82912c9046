"""Rows: examples read by a task, which can replace a file, and splits of them in two."""

import abc
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_transformer.zoo.columns.texts import Texts
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examples(Rows):
    """The rows of a table as a task sees them.

    Attributes:
        texts: text of each row, or the raw row of another modality.
        pairs: second text of each row, or None if the task reads one.
        negatives: text of each row that does not match the first, or None.
        targets: (rows,) int32 indices into `labels`, or float32 numbers; (rows, labels) float32,
            1 for each label of a row and 0 for the others; None without labels.
        labels: class names in index order; empty where targets are numbers.
        path: file of the rows, or the name of data in memory.
        lines: line on which each row starts, or its number.
        weights: (rows,) how often each is read in an epoch of training; None for once.
    """

    texts: list[str]
    pairs: list[str] | None
    targets: np.ndarray | None
    labels: list[str]
    path: Path | str
    lines: list[int]
    negatives: list[str] | None = None
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> Self:
        """Returns the rows with the given indices."""
        return dataclasses.replace(
            self,
            texts=taken(self.texts, rows),
            pairs=self.pairs and taken(self.pairs, rows),
            negatives=self.negatives and taken(self.negatives, rows),
            targets=None if self.targets is None else self.targets[np.asarray(rows, np.int64)],
            lines=taken(self.lines, rows),
            weights=None if self.weights is None else taken(self.weights, rows),
        )

    def rows(self) -> Iterator[tuple[Any, ...]]:
        targets = [] if self.targets is None else self.targets.tolist()
        if self.labels and self.targets is not None and self.targets.ndim == 2:
            named = (zip(self.labels, row, strict=True) for row in targets)
            targets = [[label for label, has in row if has] for row in named]
        elif self.labels:
            targets = [self.labels[target] for target in targets]
        parts = (self.texts, self.pairs, self.negatives, targets)
        columns = [column for column in parts if column]
        return zip(*columns, strict=True)


def taken(values: Sequence[Any], rows: Sequence[int]) -> Sequence[Any]:
    """Returns the values of rows; what is in one piece of memory is taken from there."""
    if isinstance(values, np.ndarray):
        return values[np.asarray(rows, np.int64)]
    return values.take(rows) if isinstance(values, Texts) else [values[row] for row in rows]


def sampled(examples: Any, most: int) -> Any:
    """Returns examples, or so many of them, evenly spaced, if there are more."""
    # Plain text has no rows.
    count = len(examples) if hasattr(examples, "take") else 0
    if count <= most:
        return examples
    return examples.take(np.arange(most) * count // most)


def drawn_rows(weights: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """Returns the rows of an epoch: each so often as its weight says, a fraction of them at random.

    Args:
        weights: (rows,) of each row. Of n rows of a weight of 0.3, 0.3 n are read, other ones with
            another seed; of a weight of 2.5, each twice, and half of them once more.
        seed: seed.
    """
    rng = np.random.default_rng(seed)
    found = [np.repeat(np.arange(len(weights)), weights.astype(np.int64))]
    for weight in np.unique(weights):
        rows = np.flatnonzero(weights == weight)
        # Of a row that is left over, chance decides: one row of 0.5 is read in half of the epochs.
        count = int(float(weight % 1) * len(rows) + rng.random())
        found.append(rng.choice(rows, count, replace=False))
    drawn = np.sort(np.concatenate(found))
    if not len(drawn):
        raise InputError(
            f"Expected weights by which an epoch has a row, got a sum of {weights.sum():g} for "
            f"{len(weights)} rows."
        )
    return drawn


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
