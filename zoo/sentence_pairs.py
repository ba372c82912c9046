"""Sources and their targets, read from a table."""

import dataclasses
from pathlib import Path

from keras_transformer.zoo.data import column, read_table
from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentencePairs:
    """The rows of a table as sources and targets.

    Attributes:
        sources: what is read.
        targets: what is to be written.
        path: the file that the rows came from.
    """

    sources: list[str]
    targets: list[str]
    path: Path


def load_pairs(path: str | Path, *, source: str, target: str) -> SentencePairs:
    """Reads two columns of a table.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file is no table, lacks a column, or has an empty source or target.
    """
    table = read_table(path)
    texts = {name: column(table, name) for name in (source, target)}
    for name, values in texts.items():
        for line, value in zip(table.lines, values, strict=True):
            if not value.strip():
                raise InputError(
                    f"{table.path}, line {line}: expected a text in column {name!r}, got none."
                )
    return SentencePairs(sources=texts[source], targets=texts[target], path=table.path)
