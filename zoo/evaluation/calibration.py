"""Calibration of probabilities: the temperature of logits, and the error of confidences."""

from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.special

BINS = 15
# Bounds of a temperature: what lies beyond is no question of calibration.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0


class Bin(NamedTuple):
    """Rows whose confidences are within an interval.

    Attributes:
        lowest, highest: the interval; the lower bound is outside.
        rows: number of rows.
        confidence: mean confidence; None without rows.
        accuracy: share of right predictions; None without rows.
    """

    lowest: float
    highest: float
    rows: int
    confidence: float | None
    accuracy: float | None


def best_temperature(targets: np.ndarray, logits: np.ndarray) -> float:
    """Returns the divisor of logits whose softmax has the least cross entropy.

    Guo et al. 2017, arXiv:1706.04599, section 4.2. Targets are less than certain, as those of Platt
    1999 (Probabilistic outputs for support vector machines, section 2.2) are, by one row more that
    is spread over all k classes, (n + 1 / k) / (n + 1) for n rows: where all are right, a finite
    temperature is the best.

    Args:
        targets: class indices (n,).
        logits: (n, k).
    """
    rows, classes = logits.shape
    logits = logits.astype("float64")
    wanted = np.full((rows, classes), 1 / classes / (rows + 1))
    wanted[np.arange(rows), targets] += rows / (rows + 1)

    def cross_entropy(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return -float((wanted * scipy.special.log_softmax(scaled, axis=1)).sum(axis=1).mean())

    bounds = np.log([LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE])
    found = scipy.optimize.minimize_scalar(cross_entropy, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def reliability(hits: np.ndarray, confidences: np.ndarray) -> list[Bin]:
    """Returns the accuracy of rows by their confidence, in 15 intervals of equal width.

    Args:
        hits: whether each prediction is right, (rows,).
        confidences: probability of each prediction, (rows,).
    """
    edges = np.linspace(0.0, 1.0, BINS + 1)
    place = np.clip(np.ceil(confidences * BINS).astype(int) - 1, 0, BINS - 1)
    bins = []
    for one in range(BINS):
        inside = place == one
        means = [
            float(values[inside].mean()) if inside.any() else None
            for values in (confidences, hits)
        ]
        bins.append(Bin(float(edges[one]), float(edges[one + 1]), int(inside.sum()), *means))
    return bins


def expected_calibration_error(hits: np.ndarray, confidences: np.ndarray) -> float:
    """Returns the mean difference of confidence and accuracy over the bins of `reliability`.

    Guo et al. 2017, section 2, equation 3.
    """
    bins = [one for one in reliability(hits, confidences) if one.rows]
    return sum(one.rows * abs(one.confidence - one.accuracy) for one in bins) / len(hits)
