"""Thresholds between what is in a classifier's scope and what is not."""

import numpy as np


def best_scope_threshold(
    inside: np.ndarray, hits: np.ndarray, outside: np.ndarray, weight: float = 1.0
) -> float:
    """Returns the threshold of the highest mean of in-scope accuracy and out-of-scope recall.

    A row in the scope counts where it is accepted and its label right, one out of it where it is
    rejected (Larson et al. 2019, arXiv:1909.02027, section 3); both sides count by the weight
    alone, however many rows they have. The threshold lies midway between two scores; of equals it
    is the lowest.

    Args:
        inside: scores of rows in the scope, (rows,).
        hits: whether their labels are right.
        outside: scores of rows out of the scope.
        weight: weight of the recall; the accuracy's is 1.
    """
    scores = np.unique(np.concatenate([inside, outside]).astype("float64"))
    between = (scores[:-1] + scores[1:]) / 2
    step = 1.0 if len(scores) < 2 else scores[-1] - scores[0]
    cuts = np.array([scores[0] - step, *between, scores[-1] + step])
    right = np.sort(inside[hits])
    accepted = (len(right) - np.searchsorted(right, cuts)) / len(inside)
    rejected = np.searchsorted(np.sort(outside), cuts) / len(outside)
    return float(cuts[np.argmax(accepted + weight * rejected)])
