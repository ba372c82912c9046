"""Sources and their targets, read from a table."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from keras_transformer.zoo.data.tables import column, read_table
from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentencePairs:
    """The rows of a table as sources and targets.

    Attributes:
        sources: what is read.
        targets: what is to be written.
        path: the file that the rows came from.
        languages: the name of each target's column, where there are several.
    """

    sources: list[str]
    targets: list[str]
    path: Path
    languages: list[str] = dataclasses.field(default_factory=list)


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


def load_languages(path: str | Path, *, source: str, targets: Sequence[str]) -> SentencePairs:
    """Reads a column, and each of several others as a target of it.

    Raises:
        FileNotFoundError, InputError: as `load_pairs`.
    """
    parts = [load_pairs(path, source=source, target=target) for target in targets]
    if len(parts) == 1:
        return parts[0]
    return SentencePairs(
        sources=[text for part in parts for text in part.sources],
        targets=[text for part in parts for text in part.targets],
        languages=[
            name for name, part in zip(targets, parts, strict=True) for _ in part.targets
        ],
        path=parts[0].path,
    )  # fmt: skip
