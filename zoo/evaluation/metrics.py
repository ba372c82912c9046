"""Metrics of predictions, the same for a Keras model and a `.tflite` file.

A metric that the targets or the predictions leave undefined is None, never 0; the value of
`undefined`, where there is one, names each of those and says why.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats
import sklearn.metrics

CORRELATIONS = ("pearson", "spearman")
MAX_NAMED_LABELS = 10


def classification_metrics(
    targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    """Accuracy, Matthews correlation, and precision, recall and F1: macro, micro and per class.

    A class that is neither a target nor predicted has none of the last three, and is left out of
    the macro means; in these, one that is a target or predicted counts as 0 where it is undefined.

    Args:
        targets: (rows,) class indices.
        scores: (rows, classes); the highest is the prediction.
        labels: class names.
    """
    predictions = scores.argmax(axis=1)
    report = sklearn.metrics.precision_recall_fscore_support
    names = ("precision", "recall", "f1")
    undefined = undefined_by_classes(targets, labels)
    predicted = np.unique(predictions)
    if len(predicted) == 1:
        undefined.setdefault("matthews", f"all rows are predicted as {labels[predicted[0]]!r}")
    if never := _named(labels, predicted):
        undefined["precision"] = f"no row is predicted as {never}"
    result = {"accuracy": float((predictions == targets).mean()), "matthews": None}
    if "matthews" not in undefined:
        result["matthews"] = float(sklearn.metrics.matthews_corrcoef(targets, predictions))
    for average, indices in (
        ("macro", np.union1d(targets, predictions)), ("micro", range(len(labels)))
    ):  # fmt: skip
        values = report(targets, predictions, labels=indices, average=average, zero_division=0)
        result |= {f"{average}_{n}": float(v) for n, v in zip(names, values[:3], strict=True)}
    columns = report(
        targets, predictions, labels=range(len(labels)), zero_division=np.nan
    )
    result["per_class"] = {
        label: dict(zip((*names, "rows"), (*map(or_none, row[:3]), int(row[3])), strict=True))
        for label, row in zip(labels, zip(*columns, strict=True), strict=True)
    }
    return with_reasons(result, undefined)


def regression_metrics(targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Pearson and Spearman correlation and mean squared error of (rows,) and (rows, 1).

    The correlations are undefined where either side is constant.
    """
    # Float32 overflows where squares of large outputs are summed.
    predictions, targets = scores[:, 0].astype("float64"), targets.astype("float64")
    undefined = undefined_by_numbers(targets)
    if not undefined and np.ptp(predictions) == 0:
        reason = f"all predictions are {predictions[0]:g}"
        undefined = dict.fromkeys(CORRELATIONS, reason)
    functions = (scipy.stats.pearsonr, scipy.stats.spearmanr)
    result = {
        name: None if undefined else float(correlation(targets, predictions).statistic)
        for name, correlation in zip(CORRELATIONS, functions, strict=True)
    }
    result["mean_squared_error"] = float(np.mean(np.square(targets - predictions)))
    return with_reasons(result, undefined)


def undefined_by_classes(targets: np.ndarray, labels: Sequence[str]) -> dict[str, str]:
    """Returns the metrics that (rows,) class indices leave undefined, each with the reason."""
    undefined = {}
    present = np.unique(targets)
    if len(present) == 1:
        undefined["matthews"] = f"all rows have the label {labels[present[0]]!r}"
    if absent := _named(labels, present):
        undefined["recall"] = f"no row has the label {absent}"
    return undefined


def undefined_by_numbers(targets: np.ndarray) -> dict[str, str]:
    """Returns the metrics that (rows,) numbers leave undefined, each with the reason."""
    if np.ptp(targets) > 0:
        return {}
    return dict.fromkeys(CORRELATIONS, f"all targets are {targets[0]:g}")


def not_defined(undefined: Mapping[str, str]) -> list[str]:
    """Returns what `undefined` says, in a sentence for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in undefined.items():
        by_reason.setdefault(reason, []).append(name.replace("_", " "))
    return [
        f"{' and '.join(names).capitalize()} {'is' if len(names) == 1 else 'are'} not defined: "
        f"{reason}."
        for reason, names in by_reason.items()
    ]  # fmt: skip


def _named(labels: Sequence[str], present: np.ndarray) -> str:
    """The labels that are not present, joined by `or`."""
    absent = [repr(label) for place, label in enumerate(labels) if place not in present]
    more = len(absent) - MAX_NAMED_LABELS
    return " or ".join(absent[:MAX_NAMED_LABELS]) + (f" or {more} more" if more > 0 else "")


def or_none(value: float) -> float | None:
    """Returns a number, or None for one that is not."""
    return None if np.isnan(value) else float(value)


def with_reasons(result: dict[str, Any], undefined: Mapping[str, str]) -> dict[str, Any]:
    """Returns metrics with what is `undefined` among them, if anything."""
    return {**result, "undefined": dict(undefined)} if undefined else result
