"""Report of a search: the Pareto figure, and an HTML page without external resources."""

import html
import math
from collections.abc import Iterable
from pathlib import Path

from keras_transformer.edge.choose.candidates import REFERENCE
from keras_transformer.edge.choose.figures import figure_bytes, new_figure, place_labels
from keras_transformer.edge.choose.search_result import Search
from keras_transformer.zoo.storage.files import write_file
from keras_transformer.zoo.tabular import cell

# Format of the figure -> name of its file in the folder of the search.
FIGURES = {"svg": "pareto.svg", "png": "pareto.png"}
PAGE = "report.html"
FRONT, OTHER, CHOSEN = "#1f77b4", "#b0b0b0", "#d62728"
# Radius of the dot of the largest file, in points.
RADIUS = 14.0
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child, td:last-child { text-align: left; }
tr.chosen { background: #fdecea; font-weight: 600; }
svg { max-width: 100%; height: auto; }
"""


def write(found: Search, out: Path) -> None:
    """Writes the page, and the figure as SVG and PNG, into the folder of the search."""
    for kind, name in FIGURES.items():
        write_file(out / name, pareto_figure(found, kind), overwrite=True)
    write_file(out / PAGE, page(found).encode(), overwrite=True)


def pareto_figure(found: Search, kind: str) -> bytes:
    """Plots the metric against latency, with the size as the dot's area, as `svg` or `png`."""
    figure = new_figure(9.0, 6.0)
    axes = figure.add_subplot()
    front, chosen = set(found.front), found.choice.name
    rows = found.files
    radii = [RADIUS * math.sqrt(row.size / max(one.size for one in rows)) for row in rows]
    for row, radius in zip(rows, radii, strict=True):
        axes.scatter(
            row.median_ms, row.value, s=math.pi * radius**2, alpha=0.8, zorder=2,
            color=FRONT if row.name in front else OTHER,
            edgecolors=CHOSEN if row.name == chosen else "white",
            linewidths=2.5 if row.name == chosen else 1.0,
        )  # fmt: skip
    budget = found.reference.value - found.max_drop / found.metric.points
    axes.axhline(budget, color=CHOSEN, linewidth=0.8, linestyle="--", zorder=0)
    axes.annotate(
        f"{REFERENCE} less {found.max_drop:g} points", (1.0, budget), xytext=(-4, -3),
        xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", va="top",
        fontsize=8, color=CHOSEN,
    )  # fmt: skip
    axes.margins(0.12)
    if found.metric.points < 0:
        axes.invert_yaxis()
    axes.set_xlabel(f"median latency of `{found.signature}`, ms")
    axes.set_ylabel(found.metric.name)
    axes.set_title(
        "Blue: the Pareto front; red ring: recommended; area of a dot: size of the file",
        fontsize=9,
    )
    axes.grid(alpha=0.3, zorder=0)
    names = {name: place for place, name in enumerate([chosen, REFERENCE, *found.front])}
    order = sorted(
        zip(rows, radii, strict=True), key=lambda pair: names.get(pair[0].name, len(names))
    )
    place_labels(
        axes, [(row.name, row.median_ms, row.value, radius) for row, radius in order], fontsize=9
    )
    return figure_bytes(figure, kind)


def page(found: Search) -> str:
    """Returns the page: recommendation, figure and table, without external resources."""
    svg = pareto_figure(found, "svg").decode()
    # HTML has no XML declaration, and the URL in the document type would be an external link.
    svg = svg[svg.index("<svg") :]
    [table] = found.grids()
    said = [found.recommendation(), f"{table.title}.", *filter(None, [found.noise])]
    lines = [
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        "<title>Search</title>", f"<style>{STYLE}</style>", "</head>", "<body>",
        "<h1>Files of one checkpoint</h1>", *(f"<p>{html.escape(one)}</p>" for one in said), svg,
        "<table>", _row("th", table.columns),
        *(
            _row("td", map(cell, cells), "chosen" if cells[0] == found.choice.name else "")
            for cells in table.rows
        ),
        "</table>", "</body>", "</html>", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _row(tag: str, values: Iterable[str], kind: str = "") -> str:
    marked = f' class="{kind}"' if kind else ""
    inner = "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values)
    return f"<tr{marked}>{inner}</tr>"
