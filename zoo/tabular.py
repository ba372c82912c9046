"""Results that print as tables: as text in Python, as HTML in notebooks."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from keras_transformer.zoo.printable import printable


class Grid(NamedTuple):
    """A table.

    Attributes:
        title: title above the table, or None.
        columns: column headers.
        rows: rows of one cell per column: text, an integer (with separators), a float (four
            decimals), or None for an empty cell.
    """

    title: str | None
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Tabular:
    """A result that prints as one or several tables."""

    def grids(self) -> list[Grid]:
        """The tables, from top to bottom."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return "\n\n".join(map(_as_text, self.grids()))

    def _repr_html_(self) -> str:
        """The tables as HTML for a notebook."""
        return "".join(map(_as_html, self.grids()))


class Metrics(Tabular, dict):
    """Metrics by name, such as `accuracy`: a dictionary that prints as a table.

    Values that are mappings of mappings, such as `per_class`, become separate tables.
    """

    def grids(self) -> list[Grid]:
        """A table of the single values, then one for each group of values."""
        singles = [
            (words(name), value) for name, value in self.items() if not isinstance(value, Mapping)
        ]
        grids = [Grid(None, ("metric", "value"), singles)]
        for name, group in self.items():
            if isinstance(group, Mapping) and all(isinstance(v, Mapping) for v in group.values()):
                heads = next(iter(group.values()), {})
                rows = [(label, *values.values()) for label, values in group.items()]
                grids.append(Grid(words(name), ("", *map(words, heads)), rows))
        return grids


def words(name: str) -> str:
    """A name as words: `macro_f1` as `macro F1`."""
    return name.replace("_", " ").replace("f1", "F1")


def number(value: float) -> str:
    """A number as people read it: four decimals, or six digits where those would not show it."""
    is_shown = value == 0 or 1e-3 <= abs(value) < 1e6
    return f"{value:.4f}" if is_shown else f"{value:.6g}"


def cell(value: Any) -> str:
    """A value as a table's cell."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return number(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _as_text(grid: Grid) -> str:
    heads = [printable(column) for column in grid.columns]
    rows = [[printable(cell(value)) for value in row] for row in grid.rows]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    is_number = [
        any(isinstance(row[place], int | float) for row in grid.rows)
        for place in range(len(widths))
    ]  # fmt: skip

    def line(cells: Sequence[str]) -> str:
        padded = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(cells, widths, is_number, strict=True)
        ]
        return "  ".join(padded).rstrip()

    lines = [line(heads), "  ".join("-" * width for width in widths), *map(line, rows)]
    return "\n".join([*([printable(grid.title)] if grid.title else []), *lines])


def _as_html(grid: Grid) -> str:
    heads = "".join(f"<th>{html.escape(column)}</th>" for column in grid.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell(value))}</td>" for value in row) + "</tr>"
        for row in grid.rows
    )
    caption = f"<caption>{html.escape(grid.title)}</caption>" if grid.title else ""
    return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
