"""Figures of a classifier: its confusion matrix and its reliability diagram."""

from collections.abc import Sequence

import numpy as np

from keras_transformer.edge.choose.figures import figure_bytes, new_figure
from keras_transformer.zoo.evaluation.calibration import (
    expected_calibration_error,
    reliability,
)

# More labels than these are not written beside a matrix, nor the numbers of more in its cells.
MOST_LABELS, MOST_NUMBERS = 40, 15
COLOR, GAP_COLOR = "#1f77b4", "#d62728"


def confusion_matrix(targets: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Returns the number of rows of each class (row) that are predicted as each (column)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (targets, predictions), 1)
    return counts


def confusion_figure(
    targets: np.ndarray, predictions: np.ndarray, labels: Sequence[str], kind: str
) -> bytes:
    """Plots the confusion matrix as `svg` or `png`: a label a row, coloured by its shares.

    Args:
        targets, predictions: class indices (rows,).
        labels: names of the classes.
        kind: format.

    Raises:
        InputError: if matplotlib is missing.
    """
    counts = confusion_matrix(targets, predictions, len(labels))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(4.0 + 0.25 * len(labels), 12.0)
    figure = new_figure(size, size)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    if len(labels) <= MOST_LABELS:
        axes.set_xticks(range(len(labels)), labels, rotation=90)
        axes.set_yticks(range(len(labels)), labels)
    if len(labels) <= MOST_NUMBERS:
        for row, column in np.ndindex(*counts.shape):
            dark = shares[row, column] > 0.5
            axes.text(
                column, row, counts[row, column], ha="center", va="center",
                color="white" if dark else "black", fontsize=8,
            )  # fmt: skip
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the label's rows")
    return figure_bytes(figure, kind)


def reliability_figure(hits: np.ndarray, confidences: np.ndarray, kind: str) -> bytes:
    """Plots accuracy against confidence (Guo et al. 2017, figure 1) as `svg` or `png`.

    Args:
        hits: whether each prediction is right, (rows,).
        confidences: probability of each prediction, (rows,).
        kind: format.

    Raises:
        InputError: if matplotlib is missing.
    """
    figure = new_figure(5.0, 5.0)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", zorder=3)
    for one in reliability(hits, confidences):
        if one.rows:
            width = one.highest - one.lowest
            axes.bar(one.lowest, one.accuracy, width, align="edge", color=COLOR, edgecolor="white")
            axes.plot(one.confidence, one.accuracy, "o", color=GAP_COLOR, markersize=4)
    error = expected_calibration_error(hits, confidences)
    axes.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy",
        title=f"expected calibration error {error:.2%}, {len(hits)} rows",
    )  # fmt: skip
    return figure_bytes(figure, kind)
