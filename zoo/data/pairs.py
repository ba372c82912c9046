"""Pairs of source and target texts from a table."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_transformer.zoo.data.rows import Rows, taken
from keras_transformer.zoo.data.tables import Table, column, read_table
from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentencePairs(Rows):
    """The rows of a table as sources and targets.

    Attributes:
        sources: source texts, or sounds.
        targets: target texts.
        path: file of the rows, or the name of data in memory.
        languages: column name of each target, where there are several.
        weights: see `Examples`.
    """

    sources: Sequence[Any]
    targets: Sequence[str]
    path: Path | str
    languages: list[str] = dataclasses.field(default_factory=list)
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, rows: Sequence[int]) -> Self:
        """Returns the rows with the given indices."""
        return dataclasses.replace(
            self,
            sources=taken(self.sources, rows), targets=taken(self.targets, rows),
            languages=self.languages and taken(self.languages, rows),
            weights=None if self.weights is None else taken(self.weights, rows),
        )

    def rows(self) -> Iterator[tuple[Any, ...]]:
        languages = [self.languages] if self.languages else []
        return zip(self.sources, self.targets, *languages, strict=True)


def load_pairs(path: str | Path, *, source: str, target: str) -> SentencePairs:
    """Reads two columns of a table.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is not a table, lacks a column, or has an empty source or target.
    """
    return pairs_of(read_table(path), source, [target])


def pairs_of(table: Table, source: str, targets: Sequence[str]) -> SentencePairs:
    """Returns pairs of a source column with each of the target columns.

    Raises:
        InputError: if there is no such column, or a source or target is empty.
    """
    for target in targets:
        for name in (source, target):
            for row, value in enumerate(column(table, name)):
                if not value.strip():
                    raise InputError(
                        f"{table.at(row)}: expected a text in column {name!r}, got none."
                    )
    columns = table.columns
    if len(targets) == 1:
        return SentencePairs(
            sources=columns[source], targets=columns[targets[0]], path=table.path,
            weights=table.weights,
        )  # fmt: skip
    return SentencePairs(
        sources=[*columns[source]] * len(targets),
        targets=[text for target in targets for text in columns[target]], path=table.path,
        languages=[name for name in targets for _ in range(len(table.lines))],
        weights=None if table.weights is None else np.tile(table.weights, len(targets)),
    )  # fmt: skip
