"""Rows as the bytes of a table that `read_table` reads."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.zoo.data.tables import TEXT_SUFFIXES
from keras_transformer.zoo.errors import InputError


def check_suffix(path: str | Path) -> None:
    """Raises InputError if a path is not that of a table."""
    if Path(path).suffix not in TEXT_SUFFIXES:
        raise InputError(f"{path}: expected a name that ends in {', '.join(TEXT_SUFFIXES)}.")


def table_bytes(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], path: str | Path
) -> bytes:
    """Returns rows as TSV, CSV or JSON Lines, by the suffix of a path.

    Lists are joined by commas, and None is empty, except in JSON Lines.

    Args:
        rows: values by column.
        columns: names of the columns, in order.
        path: path of the file.

    Raises:
        InputError: if the suffix is another, or a value has a tab or a line end in TSV.
    """
    check_suffix(path)
    kind = Path(path).suffix
    if kind == ".jsonl":
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
    cells = [list(columns), *([_cell(row[name]) for name in columns] for row in rows)]
    if kind == ".csv":
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(cells)
        return text.getvalue().encode()
    for row in cells:
        for cell in row:
            if any(end in cell for end in "\t\n\r"):
                raise InputError(
                    f"{path}: expected texts without tabs and line ends in a .tsv file, got "
                    f"{cell!r}; name a .csv or .jsonl file."
                )
    return "".join("\t".join(row) + "\n" for row in cells).encode()


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
