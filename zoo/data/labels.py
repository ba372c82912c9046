"""Class labels and numbers from a column of a table."""

import re
from collections.abc import Sequence

import numpy as np

from keras_transformer.zoo.data.tables import Table, column, quoted
from keras_transformer.zoo.errors import InputError

INTEGER = re.compile(r"-?[0-9]{1,18}")
MAX_NAMED_LABELS = 10


def learn_labels(table: Table, label: str) -> list[str]:
    """Returns the classes of a column: in numeric order when all are integers, else sorted.

    Raises:
        InputError: if a label is not one line of whole characters, or there are fewer than two.
    """
    values = column(table, label)
    for row, value in enumerate(values):
        # labels.txt has one label per line.
        if value.splitlines() != [value]:
            raise InputError(
                f"{table.at(row)}: expected a label of one line, got {value!r}."
            )
        if not _is_unicode(value):
            raise InputError(
                f"{table.at(row)}: expected a label of whole characters, got {value!r}."
            )
    names = sorted(set(values))
    if len(names) < 2:
        raise InputError(
            f"{table.path}: expected at least two classes in column {label!r}, "
            f"got only {names[0]!r}."
        )
    if all(INTEGER.fullmatch(name) for name in names):
        names.sort(key=int)
    return names


def _is_unicode(value: str) -> bool:
    """Whether the text has a UTF-8 form: JSON escapes can produce a lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def class_indices(table: Table, label: str, labels: Sequence[str]) -> np.ndarray:
    """Returns the class index of each label of a column, (rows,) int32.

    Where the labels are words, a column of integers in memory may hold class indices.

    Raises:
        InputError: if a label is unknown.
    """
    values = column(table, label)
    index = {name: i for i, name in enumerate(labels)}
    if label in table.integers and not any(INTEGER.fullmatch(name) for name in labels):
        index = {str(i): i for i in range(len(labels))}
    for row, value in enumerate(values):
        if value not in index:
            known, more = list(index)[:MAX_NAMED_LABELS], len(index) - MAX_NAMED_LABELS
            raise InputError(
                f"{table.at(row)}: unknown label {value!r}; the known labels are "
                f"{quoted(known)}{f' and {more} more' if more > 0 else ''}."
            )
    return np.array([index[value] for value in values], dtype=np.int32)


def numbers(table: Table, label: str) -> np.ndarray:
    """Returns the numbers of a column, (rows,) float32.

    Raises:
        InputError: if a value is not a finite number.
    """
    values = column(table, label)
    targets = np.empty(len(values), dtype=np.float32)
    for i, value in enumerate(values):
        try:
            with np.errstate(over="ignore"):
                targets[i] = np.float32(float(value))
        except ValueError:
            targets[i] = np.nan
        if not np.isfinite(targets[i]):
            raise InputError(
                f"{table.at(i)}: expected a finite number in column "
                f"{label!r}, got {value!r}."
            )
    return targets
