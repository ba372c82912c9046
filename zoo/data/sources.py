"""Data sources: a file or data in memory, as a table of text."""

import contextvars
import dataclasses
import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.columns.addresses import is_remote, public
from keras_transformer.zoo.columns.remote import named, said_by_address
from keras_transformer.zoo.columns.several_files import (
    check_no_mixture,
    files_of,
    is_mixture,
    is_pattern,
    weighted_files,
)
from keras_transformer.zoo.data.tables import SUFFIXES, Table, quoted, read_table, read_tables
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.media.array_files import read_arrays
from keras_transformer.zoo.media.class_folders import read_class_folder
from keras_transformer.zoo.printable import shortened_value

# How the name of a file of arrays ends.
ARRAYS = ".npz"
# A path; a tuple of columns (lists, arrays, columns of a data frame); a mapping of columns by name
# or a data frame; or rows, each a tuple or a mapping by the columns' names.
Source = str | Path | tuple[Sequence[Any], ...] | Mapping[str, Sequence[Any]] | Iterable[Any]


def read_source(
    source: Source, texts: Sequence[str], others: Sequence[str] = (), *, name: str = "data",
    is_text: bool = True, lists: Sequence[str] = (), suffixes: Sequence[str] = (),
    beside: Sequence[str] = (), weighted: bool = False,
) -> Table:  # fmt: skip
    """Reads columns of text, and of labels and numbers as text.

    Rows that are no text may be in a `.npz` file with an array for each column, or, as files, in a
    folder with a folder for each label.

    Args:
        source: see `Source`.
        texts: names of the columns of texts, or of another modality's rows.
        others: names of the columns that follow in a tuple, which may be missing.
        name: name of data in memory in messages.
        is_text: whether the rows are texts; otherwise values in memory are left as they are.
        lists: names of the columns whose values in memory may be lists.
        suffixes: how the names of files end that are rows themselves; empty if rows are none.
        beside: names of an array with a value of each row, see `read_arrays`.
        weighted: whether the rows may have weights, as those of a mixture do.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is not a table, a value is missing, columns differ in length, or
            there is no row.
        TypeError: if the data is none of these, or a value is of another type.
    """
    source = public(source)
    if is_remote(source) and (suffixes or not is_text):
        raise InputError(
            f"{source}: expected files of this machine, got an address, which only tables and "
            "texts for models of texts may have."
        )
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if not weighted:
            check_no_mixture(source, "this task")
        if suffixes and path.is_dir():
            return _of_class_folder(path, texts, others, suffixes)
        if is_text and path.is_dir():
            raise InputError(
                f"{path}: expected a table ({', '.join(SUFFIXES)}) for a model of texts, got a "
                "folder, which models of images and of sounds read, such as cct_4 and kwt_tiny."
            )
        if suffixes and not is_mixture(path) and not path.name.removesuffix(".gz").endswith(
            (*SUFFIXES, ARRAYS)
        ):
            raise InputError(
                f"{path}: expected a folder with a folder of files for each class, a table "
                f"({', '.join(SUFFIXES)}, or one of them and .gz), or arrays ({ARRAYS})."
            )
        if is_text or path.suffix != ARRAYS:
            return _read_files(source, texts, others, has_lists=bool(lists))
        source, name = read_arrays(path, texts, beside), str(path)
        for key in others:
            if key in source and source[key].ndim > 1:
                raise InputError(
                    f"{path}: expected one value for each row in the array {key!r}, such as a "
                    f"label's name or number, got an array of shape {source[key].shape}."
                )
    if isinstance(source, tuple):
        columns = _columns_in_order(source, [*texts, *others], name)
    elif hasattr(source, "keys"):
        known = list(source.keys())
        columns = {key: source[key] for key in (*texts, *others) if key in known}
        _check_names(columns, texts, known, name)
    elif isinstance(source, Iterable):
        columns = _columns_of_rows(source, [*texts, *others], texts, name)
    else:
        raise TypeError(
            f"Expected {name} to be a path, columns or rows, got {_described(source)}."
        )
    values = {key: _listed(column, key, name) for key, column in columns.items()}
    # The values of columns of lists, without the lists.
    flat = {}
    for key in set(lists) & set(values):
        values[key] = [_listed(one, key, name) if _is_list(one) else one for one in values[key]]
        flat[key] = [
            part for one in values[key] for part in (one if isinstance(one, list) else [one])
        ]
    lengths = {key: len(column) for key, column in values.items()}
    if len(set(lengths.values())) > 1:
        found = " and ".join(f"{length} of {key!r}" for key, length in lengths.items())
        raise InputError(f"Expected columns of one length in {name}, got {found}.")
    if not max(lengths.values()):
        raise InputError(f"Expected at least one row in {name}, got none.")
    return Table(
        path=name,
        columns={
            key: list(column) if key in texts and not is_text else [
                [_text(part, False, f"{name}, row {row}", key) for part in one]
                if key in flat and isinstance(one, list)
                else _text(one, key in texts, f"{name}, row {row}", key)
                for row, one in enumerate(column, start=1)
            ]
            for key, column in values.items()
        },
        lines=list(range(1, max(lengths.values()) + 1)),
        unit="row",
        integers=frozenset(
            key for key, column in {**values, **flat}.items() if all(map(_is_integer, column))
        ),
    )  # fmt: skip


# Reads columns of large files into other memory than Python's, see `zoo.prepared`.
ReadLarge = Callable[[str | Path, Sequence[Path], Sequence[str], Sequence[str]], Table | None]
read_large: contextvars.ContextVar[ReadLarge | None] = contextvars.ContextVar(
    "read_large", default=None
)


def _read_files(
    source: str | Path, texts: Sequence[str], others: Sequence[str], *, has_lists: bool
) -> Table:
    weighted = dict(weighted_files(source)) if is_mixture(source) else None
    files = files_of(source) if weighted is None else list(weighted)
    reader = None if has_lists else read_large.get()
    with said_by_address():
        table = None if reader is None else reader(source, files, texts, others)
        if table is None:
            is_one = weighted is None and not is_pattern(source)
            table = read_table(files[0]) if is_one else read_tables(source, files)
    places = [(first, named(file)) for first, file in table.files]
    path = source if is_remote(source) else table.path
    table = dataclasses.replace(table, path=path, files=places)
    if weighted is None:
        return table
    rows = np.diff([*(first for first, _ in table.files), len(table.lines)])
    weights = np.float32([*weighted.values()])
    return dataclasses.replace(table, weights=np.repeat(weights, rows))


def of_kinds(source: Source, names: Sequence[str]) -> Source:
    """Returns columns of labels and of rows by their kind, as columns by name.

    Args:
        source: see `Source`; or a tuple whose first element maps each kind to its rows, as in
            `({"image": [...], "text": [...]}, labels)`, and which is left as it is otherwise.
        names: names of the columns of the kinds.
    """
    if not isinstance(source, tuple) or not source or not hasattr(source[0], "keys"):
        return source
    given = source[0]
    _check_names(given, names, list(given.keys()), "data")
    return tuple([*(given[name] for name in names), *source[1:]])


def _of_class_folder(path, texts, others, suffixes):
    files, names = read_class_folder(path, suffixes)
    columns = {texts[0]: files, (others or ["label"])[-1]: names}
    return Table(path=path, columns=columns, lines=list(range(1, len(files) + 1)), unit="file")


def texts_in(source: Iterable[str], name: str) -> list[str]:
    """Returns the texts of a sequence or an iterable.

    Raises:
        InputError: if a text is missing, or there is none.
        TypeError: if a value is not a string.
    """
    texts = [
        _text(one, True, f"{name}, row {row}", "text")
        for row, one in enumerate(_listed(source, "text", name), start=1)
    ]
    if not texts:
        raise InputError(f"Expected at least one row in {name}, got none.")
    return texts


def _columns_in_order(source, names, name):
    if not 1 <= len(source) <= len(names):
        raise InputError(
            f"Expected {name} to hold the columns {quoted(names)}, got {len(source)} columns."
        )
    return dict(zip(names, source, strict=False))


def _columns_of_rows(rows, names, texts, name):
    columns: dict[str, list] = {}
    for number, row in enumerate(rows, start=1):
        if isinstance(row, Mapping):
            found = {key: row[key] for key in names if key in row}
        elif isinstance(row, tuple):
            found = _columns_in_order(row, names, f"{name}, row {number}")
        else:
            raise TypeError(
                f"Expected {name}, row {number} to be a tuple or a mapping, got {_described(row)}; "
                f"give columns as a tuple of {', '.join(names)}."
            )
        if number == 1:
            _check_names(found, texts, row if isinstance(row, Mapping) else names, name)
            columns = {key: [] for key in found}
        if found.keys() != columns.keys():
            raise InputError(
                f"{name}, row {number}: expected the columns {quoted(list(columns))} as in the "
                f"first row, got {quoted(list(found))}."
            )
        for key, value in found.items():
            columns[key].append(value)
    if not columns:
        raise InputError(f"Expected at least one row in {name}, got none.")
    return columns


def _check_names(found, texts, known, name):
    for key in texts:
        if key not in found:
            raise InputError(
                f"{name}: there is no column {key!r}; the columns are {quoted(list(known))}."
            )


def _listed(column, key, name):
    """A column's values as a list, converted to Python types where they are NumPy's."""
    if isinstance(column, str | bytes):
        raise TypeError(
            f"Expected the column {key!r} of {name} to be a list, got one string {column!r}; "
            "put it in a list."
        )
    if not isinstance(column, Iterable):
        raise TypeError(
            f"Expected the column {key!r} of {name} to be a list, got {_described(column)}."
        )
    return list(column)


def _is_list(value):
    """Whether a value in memory is a list of values."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


def _is_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)


def _text(value: Any, is_text: bool, place: str, key: str) -> str:
    """A value as it would be written in a file."""
    if isinstance(value, str):
        return str(value)
    is_number = isinstance(value, numbers.Real)
    # pandas has its own missing value.
    is_finite = not is_number or _is_integer(value) or math.isfinite(value)
    if value is None or type(value).__name__ == "NAType" or not is_finite:
        raise InputError(f"{place}: expected a value in column {key!r}, got {value}.")
    if is_text or not (is_number or isinstance(value, np.bool_)):
        what = "a text" if is_text else "a text or a number"
        raise TypeError(f"{place}: expected {what} in column {key!r}, got {_described(value)}.")
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return str(int(value)) if _is_integer(value) else repr(float(value))


def _described(value):
    """A value with its type, shortened."""
    return f"{type(value).__name__} {shortened_value(value)}"
