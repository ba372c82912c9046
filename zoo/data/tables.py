"""Tables of text on disk, and the labelled examples of a task."""

import csv
import dataclasses
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.errors import InputError

SUFFIXES = (".tsv", ".csv", ".jsonl")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns of text from a file, or of any rows from memory.

    Attributes:
        path: file of the table, or the name of data in memory.
        columns: texts by column name.
        lines: line on which each row starts, or the row's number; counted from 1.
        unit: unit of `lines`: `line` or `row`.
        integers: names of the in-memory columns that held integers, here converted to text.
    """

    path: Path | str
    columns: dict[str, list]
    lines: list[int]
    unit: str = "line"
    integers: frozenset[str] = frozenset()

    def at(self, row: int) -> str:
        """Returns the location of a row, for messages."""
        return f"{self.path}, {self.unit} {self.lines[row]}"


@dataclass(frozen=True, kw_only=True)
class Examples(Rows):
    """The rows of a table as a task sees them.

    Attributes:
        texts: text of each row, or the raw row of another modality.
        pairs: second text of each row, or None if the task reads one.
        targets: (rows,) int32 indices into `labels`, or float32 numbers; None without labels.
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

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> Self:
        """Returns the rows with the given indices."""
        return dataclasses.replace(
            self,
            texts=[self.texts[row] for row in rows],
            pairs=self.pairs and [self.pairs[row] for row in rows],
            targets=None if self.targets is None else self.targets[list(rows)],
            lines=[self.lines[row] for row in rows],
        )

    def rows(self) -> Iterator[tuple[Any, ...]]:
        targets = [] if self.targets is None else self.targets.tolist()
        targets = [self.labels[target] for target in targets] if self.labels else targets
        columns = [column for column in (self.texts, self.pairs, targets) if column]
        return zip(*columns, strict=True)


def read_table(path: str | Path) -> Table:
    """Reads a table of text: TSV, CSV or JSON Lines by its suffix, plain or with `.gz` after it.

    TSV has no quoting; CSV is quoted as in RFC 4180; in JSON Lines every line is an object with
    the keys of the first. Numbers in JSON retain their digits as written.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is not a table; the message names the file and the line.
    """
    path = Path(path)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise InputError(f"{path}: expected a name that ends in {known} (or one of them and .gz).")
    text = read_text(path)
    rows = {".tsv": _tsv_rows, ".csv": _csv_rows, ".jsonl": _jsonl_rows}[suffix](path, text)
    header_line, header = next(rows, (1, []))
    if not header:
        raise InputError(f"{path}: the file is empty.")
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"{path}, line {header_line}: the column {name!r} is there twice.")
    lines, values = [], []
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"{path}, line {line}: expected {len(header)} columns as in the header, "
                f"got {len(row)}."
            )
        lines.append(line)
        values.append(row)
    if not values:
        raise InputError(f"{path}: the file has a header but no rows.")
    columns = dict(zip(header, map(list, zip(*values, strict=True)), strict=True))
    return Table(path=path, columns=columns, lines=lines)


def read_text(path: Path) -> str:
    if path.is_dir():
        raise InputError(f"{path}: expected a file, got a folder.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}.") from None
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path}: the gzip data is damaged or cut short ({error}).") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec counts from after the byte order mark, which contains no line break.
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: the file is not UTF-8 (byte 0x{error.object[error.start]:02x})."
        ) from None


def _tsv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    # Not splitlines: that also breaks at U+2028, U+0085 and others, which are part of a text.
    # Editors add blank lines at the end; elsewhere they are rows, mostly with missing columns.
    text = text.rstrip("\r\n")
    if text:
        for line, row in enumerate(text.split("\n"), start=1):
            yield line, row.removesuffix("\r").split("\t")


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text.rstrip("\r\n"), newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row or [""]
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: bad CSV ({error}).") from None


def _jsonl_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the first object's keys as a header, then each object's values in that order."""
    header = None
    for line, source in enumerate(text.rstrip("\r\n").split("\n") if text.strip() else (), start=1):
        pairs = _json_pairs(path, line, source)
        row = dict(pairs)
        if header is None:
            header = [key for key, _ in pairs]
            yield line, header
        if len(row) != len(pairs) or row.keys() != set(header):
            raise InputError(
                f"{path}, line {line}: expected the keys {quoted(header)} as in the first line, "
                f"got {quoted([key for key, _ in pairs])}."
            )
        yield line, [_json_text(path, line, key, row[key]) for key in header]


def _json_pairs(path: Path, line: int, source: str) -> list[tuple[str, object]]:
    try:
        value = json.loads(
            source, object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=str
        )
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}, line {line}: bad JSON ({error}).") from None
    if not isinstance(value, tuple) or not value:
        raise InputError(f"{path}, line {line}: expected a JSON object with at least one key.")
    return list(value)


def _json_text(path: Path, line: int, key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        kind = {tuple: "an object", list: "a list"}.get(type(value), "null")
        raise InputError(
            f"{path}, line {line}: expected {key!r} to be a string, a number, true or false, "
            f"got {kind}."
        )
    return value


def column(table: Table, name: str) -> list[str]:
    if name not in table.columns:
        raise InputError(
            f"{table.path}: there is no column {name!r}; the columns are "
            f"{quoted(list(table.columns))}."
        )
    return table.columns[name]


def quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
