"""Metrics of sets of labels, and thresholds of their probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn.metrics

from keras_transformer.zoo.evaluation.metrics import or_none, with_reasons

AVERAGES = ("micro_precision", "micro_recall", "micro_f1", "macro_precision", "macro_recall",
            "macro_f1")  # fmt: skip


def label_set_metrics(
    targets: np.ndarray, scores: np.ndarray, labels: Sequence[str], cuts: np.ndarray
) -> dict[str, Any]:
    """Precision, recall and F1, micro, macro and of each label, and mean average precision.

    Average precision is that of a label's rows ranked by their logits; its mean is over the labels
    that a row has. The macro means are over the labels that a row has or that are predicted.

    Args:
        targets: (rows, labels) of 0 and 1.
        scores: logits (rows, labels).
        labels: names of the labels.
        cuts: logit of each label from which on it is predicted, (labels,).
    """
    targets, predictions = targets.astype(bool), scores >= cuts
    undefined = undefined_by_label_sets(targets)
    hits = (predictions == targets).all(axis=1)
    result = {"exact_match": float(hits.mean()), **dict.fromkeys(AVERAGES)}
    names = ("precision", "recall", "f1")
    report = sklearn.metrics.precision_recall_fscore_support
    if not undefined:
        seen = np.flatnonzero((targets | predictions).any(axis=0))
        for average, places in (("micro", range(len(labels))), ("macro", seen)):
            values = report(targets, predictions, labels=places, average=average, zero_division=0)
            result |= {f"{average}_{n}": float(v) for n, v in zip(names, values[:3], strict=True)}
    precisions = [
        float(sklearn.metrics.average_precision_score(has, score)) if has.any() else None
        for has, score in zip(targets.T, scores.T, strict=True)
    ]
    known = [one for one in precisions if one is not None]
    result["mean_average_precision"] = float(np.mean(known)) if known else None
    result["cross_entropy"] = float(np.mean(np.logaddexp(0.0, np.where(targets, -scores, scores))))
    columns = report(targets, predictions, average=None, zero_division=np.nan)
    result["per_label"] = {
        label: {
            **dict(zip(names, map(or_none, row[:3]), strict=True)),
            "average_precision": precision, "rows": int(row[3]),
        }
        for label, precision, row in zip(
            labels, precisions, zip(*columns, strict=True), strict=True
        )
    }  # fmt: skip
    return with_reasons(result, undefined)


def undefined_by_label_sets(targets: np.ndarray) -> dict[str, str]:
    """Returns the metrics that (rows, labels) of 0 and 1 leave undefined, each with the reason."""
    if targets.any():
        return {}
    return dict.fromkeys((*AVERAGES, "mean_average_precision"), "no row has a label")


def best_thresholds(targets: np.ndarray, scores: np.ndarray) -> list[float]:
    """Returns for each label the probability from which on predicting it has the best F1.

    Each lies midway between two logits that occur (SCut, Yang 2001, A study of thresholding
    strategies for text categorization, section 2.1); of equals the one next to 0.5. A label that
    no row has keeps 0.5.

    Args:
        targets: (rows, labels) of 0 and 1.
        scores: logits (rows, labels).
    """
    return [_best(has > 0, score) for has, score in zip(targets.T, scores.T, strict=True)]


def _best(has: np.ndarray, scores: np.ndarray) -> float:
    if not has.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype("float64")
    # One threshold below the last of equal logits, and one below all.
    ends = np.flatnonzero(np.append(ranked[:-1] > ranked[1:], True))
    below = np.append(ranked[1:], ranked[-1] - 2.0)
    cuts = (ranked[ends] + below[ends]) / 2
    hits = np.cumsum(has[order])[ends]
    f1 = 2 * hits / (ends + 1 + has.sum())
    best = cuts[f1 == f1.max()]
    cut = best[np.abs(best).argmin()]
    # Within the open interval that has a logit.
    return float(np.clip(1 / (1 + np.exp(-np.clip(cut, -700, 700))), 1e-6, 1 - 1e-6))
