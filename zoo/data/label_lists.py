"""Lists of labels from a column of a table."""

from collections.abc import Sequence

import numpy as np

from keras_transformer.zoo.data.labels import check_label, class_index, in_order
from keras_transformer.zoo.data.tables import Table, column_of_lists
from keras_transformer.zoo.errors import InputError


def label_lists(table: Table, label: str, separator: str) -> list[list[str]]:
    """Returns the labels of each row of a column, in the order of the data.

    Args:
        table: table with the column.
        label: name of the column: lists of labels, or texts in which a character separates them.
            An empty list or text is a row without labels; spaces around a label are removed.
        separator: that character.

    Raises:
        InputError: if a row is neither, or has an empty label.
    """
    rows = []
    for row, value in enumerate(column_of_lists(table, label)):
        if isinstance(value, str):
            value = value.split(separator) if value.strip() else []
        labels = [one.strip() for one in value]
        if not all(labels):
            raise InputError(
                f"{table.at(row)}: expected labels separated by {separator!r} in column "
                f"{label!r}, got an empty one among {labels!r}."
            )
        rows.append(labels)
    return rows


def learn_label_sets(table: Table, label: str, separator: str) -> list[str]:
    """Returns the labels of a column: in numeric order when all are integers, else sorted.

    Args:
        table, label, separator: see `label_lists`.

    Raises:
        InputError: if a label is not one line of whole characters, or there are fewer than two.
    """
    names = set()
    for row, labels in enumerate(label_lists(table, label, separator)):
        for one in labels:
            check_label(one, table.at(row))
        names.update(labels)
    if len(names) < 2:
        raise InputError(
            f"{table.path}: expected at least two labels in column {label!r}, got "
            f"{sorted(names) or 'none'}."
        )
    return in_order(names)


def label_indicators(
    table: Table, label: str, separator: str, labels: Sequence[str]
) -> np.ndarray:
    """Returns which of the labels each row has, (rows, labels) float32 of 0 and 1.

    Where the labels are words, lists of integers in memory may hold their indices.

    Args:
        table, label, separator: see `label_lists`.
        labels: known labels.

    Raises:
        InputError: if a label is unknown.
    """
    index = class_index(table, label, labels)
    rows = label_lists(table, label, separator)
    targets = np.zeros((len(rows), len(labels)), np.float32)
    for row, names in enumerate(rows):
        for name in names:
            targets[row, index(name, row)] = 1.0
    return targets
