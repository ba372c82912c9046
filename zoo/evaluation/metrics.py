"""Metrics of predictions, the same for a Keras model and a `.tflite` file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats
import sklearn.metrics


def classification_metrics(
    targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    """Accuracy, Matthews correlation, and precision, recall and F1: macro, micro and per class.

    Args:
        targets: (rows,) class indices.
        scores: (rows, classes); the highest is the prediction.
        labels: class names.
    """
    predictions = scores.argmax(axis=1)
    report = sklearn.metrics.precision_recall_fscore_support
    indices = range(len(labels))
    names = ("precision", "recall", "f1")
    result = {
        "accuracy": float((predictions == targets).mean()),
        "matthews": float(sklearn.metrics.matthews_corrcoef(targets, predictions)),
    }
    for average in ("macro", "micro"):
        values = report(targets, predictions, labels=indices, average=average, zero_division=0)
        result |= {f"{average}_{n}": float(v) for n, v in zip(names, values[:3], strict=True)}
    columns = report(targets, predictions, labels=indices, zero_division=0)
    result["per_class"] = {
        label: dict(zip((*names, "rows"), (*map(float, row[:3]), int(row[3])), strict=True))
        for label, row in zip(labels, zip(*columns, strict=True), strict=True)
    }
    return result


def regression_metrics(targets: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Pearson and Spearman correlation and mean squared error of (rows,) and (rows, 1).

    The correlations are 0 where either side is constant, since they are not defined there.
    """
    # Float32 overflows where squares of large outputs are summed.
    predictions, targets = scores[:, 0].astype("float64"), targets.astype("float64")
    constant = np.ptp(predictions) == 0 or np.ptp(targets) == 0
    pearson = 0.0 if constant else float(scipy.stats.pearsonr(targets, predictions).statistic)
    spearman = 0.0 if constant else float(scipy.stats.spearmanr(targets, predictions).statistic)
    mse = float(np.mean(np.square(targets - predictions)))
    return {"pearson": pearson, "spearman": spearman, "mean_squared_error": mse}
