"""Class labels and numbers from a column of a table."""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence

import numpy as np

from keras_transformer.zoo.columns.texts import Coded
from keras_transformer.zoo.data.tables import Table, column, quoted
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.numerals import LARGEST_FLOAT32, is_float32, read_number

INTEGER = re.compile(r"-?[0-9]{1,18}")
MAX_NAMED_LABELS = 10


def learn_labels(table: Table, label: str) -> list[str]:
    """Returns the classes of a column: in numeric order when all are integers, else sorted.

    Raises:
        InputError: if a label is not one line of whole characters, or there are fewer than two.
    """
    values = Coded.of(column(table, label))
    for row, value in zip(values.first_rows, values.values, strict=True):
        check_label(value, table.at(row))
    names = in_order(values.values)
    if len(names) < 2:
        raise InputError(
            f"{table.path}: expected at least two classes in column {label!r}, "
            f"got only {names[0]!r}."
        )
    return names


def checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Returns the labels of a task.

    Raises:
        InputError: if there is only one, or one is there twice.
        TypeError: if they are no list of names.
    """
    if isinstance(labels, str):
        raise TypeError(f"Expected labels to be a list of names, got {labels!r}.")
    labels = tuple(labels)
    for label in labels:
        if not isinstance(label, str):
            raise TypeError(f"Expected labels to be names, got {label!r}.")
    if len(labels) == 1:
        raise InputError(f"Expected at least two labels, got {list(labels)}.")
    if len(set(labels)) < len(labels):
        raise InputError(f"Expected each label once, got {list(labels)}.")
    return labels


def check_label(value: str, place: str) -> None:
    """Raises InputError if a label is not one line of whole characters; names its place."""
    # labels.txt has one label per line.
    if value.splitlines() != [value]:
        raise InputError(f"{place}: expected a label of one line, got {value!r}.")
    if not _is_unicode(value):
        raise InputError(f"{place}: expected a label of whole characters, got {value!r}.")


def in_order(names: Collection[str]) -> list[str]:
    """Returns labels in numeric order when all are integers, else sorted."""
    is_numeric = all(INTEGER.fullmatch(name) for name in names)
    return sorted(sorted(names), key=int if is_numeric else None)


def read_labels(data: bytes, what: str) -> tuple[str, ...]:
    """Returns the labels of a file with one on each line, as checkpoints and files have it.

    Args:
        data: contents.
        what: name of the file, for messages.

    Raises:
        InputError: if it is not UTF-8.
    """
    try:
        return tuple(data.decode().split("\n")[:-1])
    except UnicodeDecodeError:
        raise InputError(f"Expected {what} to be UTF-8, got other bytes.") from None


def _is_unicode(value: str) -> bool:
    """Whether the text has a UTF-8 form: JSON escapes can produce a lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def class_indices(table: Table, label: str, labels: Sequence[str]) -> np.ndarray:
    """Returns the class index of each label of a column, (rows,) int32.

    Where the labels are words, a column of integers in memory may hold class indices.

    Raises:
        InputError: if a label is unknown.
    """
    index = class_index(table, label, labels)
    values = Coded.of(column(table, label))
    places = zip(values.values, values.first_rows, strict=True)
    return np.array([index(value, row) for value, row in places], np.int32)[values.codes]


def class_index(
    table: Table, label: str, labels: Sequence[str]
) -> Callable[[str, int], int]:
    """Returns a function from a label and its row to the label's index, see `class_indices`."""
    index = {name: i for i, name in enumerate(labels)}
    if label in table.integers and not any(INTEGER.fullmatch(name) for name in labels):
        index = {str(i): i for i in range(len(labels))}

    def of(value: str, row: int) -> int:
        if value not in index:
            known, more = list(index)[:MAX_NAMED_LABELS], len(index) - MAX_NAMED_LABELS
            raise InputError(
                f"{table.at(row)}: unknown label {value!r}; the known labels are "
                f"{quoted(known)}{f' and {more} more' if more > 0 else ''}."
            )
        return index[value]

    return of


def numbers(table: Table, label: str) -> np.ndarray:
    """Returns the numbers of a column, (rows,) float32.

    Raises:
        InputError: if a value is not a finite number.
    """
    values = column(table, label)
    targets = np.empty(len(values), dtype=np.float32)
    for i, value in enumerate(values):
        number = read_number(value)
        if number is None:
            raise InputError(
                f"{table.at(i)}: expected a finite number in column {label!r}, got {value!r}."
            )
        if not is_float32(number):
            raise InputError(
                f"{table.at(i)}: expected a number of at most {LARGEST_FLOAT32:.6g} in column "
                f"{label!r}, which is the largest that float32 holds, got {value!r}."
            )
        targets[i] = number
    return targets


def similar_labels(labels: Sequence[str]) -> str | None:
    """Returns a sentence that names labels which may mean one class, or None.

    They differ only in spaces, letter case, invisible characters or the Unicode form of their
    characters, or are one number written in several ways.
    """
    first: dict[str | float, str] = {}
    pairs = []
    for label in labels:
        key = _meaning(label)
        if key in first:
            pairs.append(f"{_distinct(first[key], label)} and {_distinct(label, first[key])}")
        first.setdefault(key, label)
    if not pairs:
        return None
    more = len(pairs) - MAX_NAMED_LABELS
    named = "; ".join(pairs[:MAX_NAMED_LABELS]) + (f"; and {more} more" if more > 0 else "")
    return f"Labels that read alike are classes of their own: {named}."


def _meaning(label: str) -> str | float:
    """What labels that read alike have in common."""
    seen = (one for one in label if unicodedata.category(one) != "Cf")
    text = unicodedata.normalize("NFC", " ".join("".join(seen).split()).casefold())
    number = read_number(text)
    return text if number is None else number


def _distinct(label: str, other: str) -> str:
    """A label in quotation marks, in escapes where another would look the same."""
    looks = [unicodedata.normalize("NFC", repr(one)) for one in (label, other)]
    return ascii(label) if looks[0] == looks[1] else repr(label)
