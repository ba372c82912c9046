"""Tables of text on disk, and the labelled examples of a task."""

import bisect
import csv
import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.columns import arrow
from keras_transformer.zoo.columns.arrow import arrow_rows
from keras_transformer.zoo.columns.json_lines import columns_of_objects
from keras_transformer.zoo.data.text_files import read_text, rows_on_lines, text_blocks
from keras_transformer.zoo.errors import InputError, no_file

TEXT_SUFFIXES = (".tsv", ".csv", ".jsonl")
SUFFIXES = (*TEXT_SUFFIXES, *arrow.SUFFIXES)
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
        files: first row of each file, and the file, where there are several.
        weights: (rows,) how often each is read in an epoch; None for once.
    """

    path: Path | str
    columns: dict[str, Any]
    lines: Any
    unit: str = "line"
    integers: frozenset[str] = frozenset()
    problems: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lists: Mapping[str, str] = dataclasses.field(default_factory=dict)
    files: Sequence[tuple[int, Path]] = ()
    weights: np.ndarray | None = None

    def folder(self, row: int) -> Path | None:
        """Returns the folder of a row's file, which paths are relative to; None in other data."""
        return Path(self._file(row)).parent if self.unit == "line" else None

    def at(self, row: int) -> str:
        """Returns the location of a row, for messages."""
        if self.unit == "file":
            return str(next(iter(self.columns.values()))[row])
        return f"{self._file(row)}, {self.unit} {self.lines[row]}"

    def _file(self, row: int) -> Path | str:
        after = bisect.bisect_right(self.files, row, key=lambda file: file[0])
        return self.files[after - 1][1] if self.files else self.path


def read_table(path: str | Path) -> Table:
    """Reads a table of text by its suffix: Parquet, Arrow; TSV, CSV or JSON Lines, plain or `.gz`.

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
    suffix = table_suffix(path)
    if suffix in arrow.SUFFIXES:
        return _whole(parts_of(path))
    text = read_text(path)
    # Blank lines at the end are an editor's; elsewhere they are rows, and mostly ragged ones.
    return _whole(table_parts(path, [_on_lines(suffix)(text).rstrip("\n")]))


def _on_lines(suffix: str) -> Callable[[str], str]:
    """The function that puts the rows of a whole text on lines, see `rows_on_lines`."""

    def objects_on_lines(text: str) -> str:
        # Inside a string NEL may stand as it is, which the other two may not.
        is_one_line = "\n" not in text and "\r" not in text
        return _NEL_BEHIND_OBJECT.sub("\n", text) if is_one_line else rows_on_lines(text)

    return objects_on_lines if suffix == ".jsonl" else rows_on_lines


def _whole(parts: Iterator[Table]) -> Table:
    """The table of parts that have the same columns."""
    first, *others = parts
    problems, lists = dict(first.problems), dict(first.lists)
    for part in others:
        first.lines.extend(part.lines)
        for name, cells in part.columns.items():
            first.columns[name] += cells
        problems |= {**part.problems, **problems}
        lists |= {**part.lists, **lists}
    return dataclasses.replace(first, problems=problems, lists=lists)


def read_tables(path: str | Path, files: Sequence[Path]) -> Table:
    """Reads the tables of several files as one.

    Args:
        path: name of the data.
        files: files of the rows.

    Raises:
        FileNotFoundError, InputError: see `read_table`; what a file lacks that others have is said
            when it is asked for.
    """
    tables = [read_table(file) for file in files]
    names = dict.fromkeys(name for table in tables for name in table.columns)
    problems, lists = {}, {}
    for table in tables:
        for name in names:
            if name not in table.columns:
                problems.setdefault(name, str(_no_column(table, name)))
        for found, own in ((problems, table.problems), (lists, table.lists)):
            for name, problem in own.items():
                found.setdefault(name, problem)
    starts = np.cumsum([0, *(len(table.lines) for table in tables)]).tolist()
    return Table(
        path=path,
        columns={
            name: [one for table in tables for one in table.columns.get(name, ())]
            for name in names
        },
        lines=[line for table in tables for line in table.lines], problems=problems, lists=lists,
        unit=tables[0].unit, files=list(zip(starts, files, strict=False)),
        integers=frozenset.intersection(*(table.integers for table in tables)),
    )  # fmt: skip


def parts_of(path: Path) -> Iterator[Table]:
    """Yields the rows of a table's file in parts, see `read_table`."""
    suffix = table_suffix(path)
    if suffix not in arrow.SUFFIXES:
        return table_parts(path, text_blocks(path, on_lines=_on_lines(suffix)))
    if not path.exists():
        raise no_file(path)
    return (Table(path=path, unit="row", **rows._asdict()) for rows in arrow_rows(path))


def table_suffix(path: Path) -> str:
    """Returns the suffix that says what kind of table a file is, without `.gz` after it.

    Raises:
        InputError: if it is none of `SUFFIXES`, or the path is a folder.
    """
    is_packed = path.suffix == ".gz"
    suffix = path.with_suffix("").suffix if is_packed else path.suffix
    if path.is_dir():
        raise InputError(f"{path}: expected a table ({', '.join(SUFFIXES)}), got a folder.")
    if suffix not in SUFFIXES or (is_packed and suffix in arrow.SUFFIXES):
        known = f"{', '.join(TEXT_SUFFIXES)} (or one of them and .gz), {', '.join(arrow.SUFFIXES)}"
        raise InputError(f"{path}: expected a name that ends in {known}.")
    return suffix


def table_parts(path: Path, blocks: Iterable[str]) -> Iterator[Table]:
    """Yields the rows of a table in parts, at least one.

    Args:
        path: file, whose name says what kind of table it is.
        blocks: its text, each of whole lines, with LF between lines and none at the end.

    Raises:
        InputError: see `read_table`.
    """
    suffix = table_suffix(path)
    if suffix == ".jsonl":
        yield from _jsonl_tables(path, blocks)
        return
    rows = (_tsv_rows if suffix == ".tsv" else _csv_rows)(path, _lines(blocks))
    header_line, header = next(rows, (1, []))
    if not header:
        raise InputError(f"{path}: the file is empty.")
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"{path}, line {header_line}: the column {name!r} is there twice.")
    is_empty = True
    # In parts: the list of a row takes more memory than its cells.
    while part := list(itertools.islice(rows, PART_ROWS)):
        for line, row in part:
            if len(row) != len(header):
                raise InputError(
                    f"{path}, line {line}: expected {len(header)} columns as in the header, "
                    f"got {len(row)}."
                )
        columns = dict(zip(header, map(list, zip(*(row for _, row in part), strict=True)),
                           strict=True))  # fmt: skip
        yield Table(path=path, columns=columns, lines=[line for line, _ in part])
        is_empty = False
    if is_empty:
        raise InputError(f"{path}: the file has a header but no rows.")


def _lines(blocks: Iterable[str]) -> Iterator[str]:
    # Not splitlines: that also breaks at U+2028, U+0085 and others, which are part of a text.
    return (line for block in blocks if block for line in block.split("\n"))


def _tsv_rows(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    first = next(lines, "")
    if first:
        yield 1, first.split("\t")
    for line, row in enumerate(lines, start=2):
        yield line, row.split("\t")


def _csv_rows(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    # For the whole process, as csv has it: a cell may be as long as in TSV.
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row or [""]
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: bad CSV ({error}).") from None


def _jsonl_tables(path: Path, blocks: Iterable[str]) -> Iterator[Table]:
    line, is_empty = 1, True
    for block in blocks:
        found = columns_of_objects(path, block, line)
        line += block.count("\n") + 1
        if found.lines:
            yield Table(path=path, **found._asdict())
            is_empty = False
    if is_empty:
        raise InputError(f"{path}: the file is empty.")


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
        raise _no_column(table, name)
    return table.columns[name]


def _no_column(table: Table, name: str) -> InputError:
    return InputError(
        f"{table.path}: there is no column {name!r}; the columns are {quoted(list(table.columns))}."
    )


def quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
