"""Tables of text on disk, and the labelled examples of a task."""

import csv
import dataclasses
import io
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.text_files import read_text, rows_on_lines
from keras_transformer.zoo.errors import InputError

SUFFIXES = (".tsv", ".csv", ".jsonl")
# What fits into a C long on every platform.
MAX_CELL = 2**31 - 1
PART_ROWS = 10_000
_NEL_BEHIND_OBJECT = re.compile("(?<=\\})\x85")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns of text from a file, or of any rows from memory.

    Attributes:
        path: file of the table, or the name of data in memory.
        columns: texts by column name; a row of a column in `lists` may hold a list of texts.
        lines: line on which each row starts, or the row's number; counted from 1.
        unit: unit of `lines`: `line`, `row`, or `file` where each row is one, of the first column.
        integers: names of the in-memory columns that held integers, here converted to text.
        problems: errors of columns without a text in each row, by column name.
        lists: errors of columns with a list of texts in a row, where one text is needed.
    """

    path: Path | str
    columns: dict[str, list]
    lines: list[int]
    unit: str = "line"
    integers: frozenset[str] = frozenset()
    problems: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lists: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def folder(self) -> Path | None:
        """Folder of the table's file, which paths in it are relative to; None for other data."""
        return Path(self.path).parent if self.unit == "line" else None

    def at(self, row: int) -> str:
        """Returns the location of a row, for messages."""
        if self.unit == "file":
            return str(next(iter(self.columns.values()))[row])
        return f"{self.path}, {self.unit} {self.lines[row]}"


@dataclass(frozen=True, kw_only=True)
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
    """

    texts: list[str]
    pairs: list[str] | None
    targets: np.ndarray | None
    labels: list[str]
    path: Path | str
    lines: list[int]
    negatives: list[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> Self:
        """Returns the rows with the given indices."""
        return dataclasses.replace(
            self,
            texts=[self.texts[row] for row in rows],
            pairs=self.pairs and [self.pairs[row] for row in rows],
            negatives=self.negatives and [self.negatives[row] for row in rows],
            targets=None if self.targets is None else self.targets[list(rows)],
            lines=[self.lines[row] for row in rows],
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


def read_table(path: str | Path) -> Table:
    """Reads a table of text: TSV, CSV or JSON Lines by its suffix, plain or with `.gz` after it.

    TSV has no quoting; CSV is quoted as in RFC 4180; in JSON Lines every line that is not blank is
    an object, in which only the requested keys are required, with texts, numbers, true or false, or
    lists of them.
    Numbers in JSON retain their digits as written. For line ends see `rows_on_lines`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is not a table, or unpacks to too much; the message names the file
            and the line.
    """
    path = Path(path)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if path.is_dir():
        raise InputError(f"{path}: expected a table ({', '.join(SUFFIXES)}), got a folder.")
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise InputError(f"{path}: expected a name that ends in {known} (or one of them and .gz).")
    text = read_text(path)
    if suffix == ".jsonl":
        return _jsonl_table(path, text)
    # Blank lines at the end are an editor's; elsewhere they are rows, and mostly ragged ones.
    text = rows_on_lines(text).rstrip("\n")
    rows = (_tsv_rows if suffix == ".tsv" else _csv_rows)(path, text)
    header_line, header = next(rows, (1, []))
    if not header:
        raise InputError(f"{path}: the file is empty.")
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"{path}, line {header_line}: the column {name!r} is there twice.")
    lines: list[int] = []
    columns: dict[str, list] = {name: [] for name in header}
    # In parts: the list of a row takes more memory than its cells.
    while part := list(itertools.islice(rows, PART_ROWS)):
        for line, row in part:
            if len(row) != len(header):
                raise InputError(
                    f"{path}, line {line}: expected {len(header)} columns as in the header, "
                    f"got {len(row)}."
                )
            lines.append(line)
        for name, *cells in zip(header, *(row for _, row in part), strict=True):
            columns[name] += cells
    if not lines:
        raise InputError(f"{path}: the file has a header but no rows.")
    return Table(path=path, columns=columns, lines=lines)


def _tsv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    # Not splitlines: that also breaks at U+2028, U+0085 and others, which are part of a text.
    if text:
        for line, row in enumerate(text.split("\n"), start=1):
            yield line, row.split("\t")


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    # For the whole process, as csv has it: a cell may be as long as in TSV.
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row or [""]
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: bad CSV ({error}).") from None


def _jsonl_table(path: Path, text: str) -> Table:
    """Columns of all keys; what is wrong with one is said when it is asked for."""
    # Inside a string NEL may stand as it is, which the other two may not.
    is_one_line = "\n" not in text and "\r" not in text
    text = _NEL_BEHIND_OBJECT.sub("\n", text) if is_one_line else rows_on_lines(text)
    lines: list[int] = []
    columns: dict[str, list] = {}
    problems: dict[str, str] = {}
    lists: dict[str, str] = {}
    for line, source in enumerate(text.split("\n"), start=1):
        if not source.strip():
            continue
        seen = set()
        for key, value in _json_pairs(path, line, source):
            if key not in columns:
                columns[key] = []
                if lines:
                    problems[key] = (
                        f"{path}, line {lines[0]}: expected the key {key!r}, which line {line} has."
                    )
            text, kind = _json_text(value)
            if key in seen:
                problems.setdefault(
                    key, f"{path}, line {line}: the column {key!r} is there twice."
                )
            elif kind is not None:
                wrong = (
                    f"{path}, line {line}: expected {key!r} to be a string, a number, true or "
                    f"false, got {kind}."
                )
                (lists if isinstance(text, list) else problems).setdefault(key, wrong)
            seen.add(key)
            columns[key].append(text)
        for key in columns.keys() - seen:
            problems.setdefault(
                key, f"{path}, line {line}: expected the key {key!r} as in other lines, got "
                f"{quoted(sorted(seen))}.",
            )  # fmt: skip
        lines.append(line)
    if not lines:
        raise InputError(f"{path}: the file is empty.")
    return Table(path=path, columns=columns, lines=lines, problems=problems, lists=lists)


def _json_pairs(path: Path, line: int, source: str) -> list[tuple[str, object]]:
    try:
        value = json.loads(
            source, object_pairs_hook=tuple, parse_int=str, parse_float=str,
            parse_constant=_NoNumber,
        )  # fmt: skip
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}, line {line}: bad JSON ({error}).") from None
    if not isinstance(value, tuple) or not value:
        raise InputError(f"{path}, line {line}: expected a JSON object with at least one key.")
    return list(value)


class _NoNumber(str):
    """`NaN`, `Infinity` or `-Infinity`, which Python's JSON has and JSON has not."""


def _json_text(value: object) -> tuple[str | list[str], str | None]:
    """A value as text or a list of texts, and what it is if not one text."""
    if isinstance(value, list):
        texts = [_json_text(one) for one in value]
        wrong = [kind for _, kind in texts if kind is not None]
        return ("", f"a list of {wrong[0]}") if wrong else ([text for text, _ in texts], "a list")
    if isinstance(value, bool):
        return ("true" if value else "false"), None
    if isinstance(value, str) and not isinstance(value, _NoNumber):
        return value, None
    kind = {tuple: "an object", _NoNumber: str(value)}.get(type(value), "null")
    return "", kind


def column(table: Table, name: str) -> list[str]:
    """Returns a column.

    Raises:
        InputError: there is none of that name, or a row of it holds no text.
    """
    found = column_of_lists(table, name)
    if name in table.lists:
        raise InputError(table.lists[name])
    return found


def column_of_lists(table: Table, name: str) -> list[str | list[str]]:
    """Returns a column whose rows are texts or lists of texts.

    Raises:
        InputError: there is none of that name, or a row of it holds neither.
    """
    if name in table.problems:
        raise InputError(table.problems[name])
    if name not in table.columns:
        raise InputError(
            f"{table.path}: there is no column {name!r}; the columns are "
            f"{quoted(list(table.columns))}."
        )
    return table.columns[name]


def quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
