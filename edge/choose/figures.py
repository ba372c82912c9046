"""Matplotlib figures as bytes, with labels that do not overlap."""

import io
import itertools
from collections.abc import Iterable, Sequence

from keras_transformer.zoo.errors import InputError

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox
except ImportError:
    matplotlib = None

# Positions to try for a label, in units of its size and in points: the nearest to its dot first.
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
DISTANCES = (3.0, 8.0, 16.0, 28.0, 44.0, 64.0, 90.0, 120.0)
# Smallest distance between two labels, in points.
GAP = 1.0


def check_matplotlib() -> None:
    """Raises InputError if matplotlib is missing, so that a long run fails early."""
    if matplotlib is None:
        raise InputError(
            "Figures need matplotlib; install it with pip install "
            '"keras-transformer-zoo[report]".'
        )


def new_figure(width: float, height: float) -> "Figure":
    """Returns an empty figure, its size in inches; opens no window."""
    check_matplotlib()
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def figure_bytes(figure: "Figure", kind: str) -> bytes:
    """Returns a figure as `svg` or `png`; equal figures have equal bytes.

    Text in an SVG is stored as outlines, so that it looks the same without the font.
    """
    buffer = io.BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type") if kind == "svg" else ())
    with matplotlib.rc_context({"svg.hashsalt": "keras-transformer"}):
        figure.savefig(buffer, format=kind, metadata=nothing)
    return buffer.getvalue()


def place_labels(
    axes: "Axes", labels: Sequence[tuple[str, float, float, float]], **style: object
) -> dict[str, "Bbox"]:
    """Places labels beside their dots so that none covers a dot or another label.

    A distant label is connected to its dot by a line; one that does not fit is left out. The axes'
    limits must be final.

    Args:
        axes: axes with the dots.
        labels: text, x and y in data coordinates, and the radius of the dot in points; the most
            important ones first.
        **style: properties of the text.

    Returns:
        The boxes of the placed labels in pixels, by text.
    """
    figure = axes.figure
    figure.draw_without_rendering()
    renderer, inside = figure.canvas.get_renderer(), axes.bbox
    unit = figure.dpi / 72
    centers = axes.transData.transform([(x, y) for _, x, y, _ in labels])
    taken = [
        Bbox.from_bounds(x - r * unit, y - r * unit, 2 * r * unit, 2 * r * unit)
        for (x, y), (_, _, _, r) in zip(centers, labels, strict=True)
    ]  # fmt: skip
    placed = {}
    for (text, x, y, radius), center in zip(labels, centers, strict=True):
        note = axes.annotate(text, (x, y), xytext=(0, 0), textcoords="offset points", **style)
        extent = note.get_window_extent(renderer)
        spot = _free_spot(center, extent.width, extent.height, radius * unit, taken, inside, unit)
        if spot is None:
            note.remove()
            continue
        box, distance = spot
        note.set_position(((box.x0 - center[0]) / unit, (box.y0 - center[1]) / unit))
        # The box is measured from the baseline's left end, which lies above a descender.
        note.set_verticalalignment("bottom")
        if distance > DISTANCES[1]:
            axes.annotate(
                "", (x, y), xytext=((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2),
                textcoords="figure pixels", zorder=1,
                arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6},
            )  # fmt: skip
            note.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
        taken.append(box)
        placed[text] = box
    return placed


def _free_spot(
    center: Iterable[float], width: float, height: float, radius: float, taken: Sequence["Bbox"],
    inside: "Bbox", unit: float,
) -> tuple["Bbox", float] | None:  # fmt: skip
    """The nearest box of that size beside a dot that overlaps no taken one, in pixels."""
    x, y = center
    for distance, (right, up) in itertools.product(DISTANCES, SIDES):
        off = radius + distance * unit
        left = x - width / 2 + right * (off + width / 2)
        bottom = y - height / 2 + up * (off + height / 2)
        box = Bbox.from_bounds(left, bottom, width, height)
        fits = inside.x0 <= box.x0 and box.x1 <= inside.x1
        fits = fits and inside.y0 <= box.y0 and box.y1 <= inside.y1
        if fits and not any(box.padded(GAP * unit).overlaps(other) for other in taken):
            return box, distance
    return None
