"""Metrics of ranking: where the match of a text is among the other texts."""

import numpy as np

from keras_transformer.zoo.outputs import unit_vectors

CUTOFFS = (1, 5, 10)
_ROWS_AT_ONCE = 512


def retrieval_metrics(
    queries: np.ndarray, candidates: np.ndarray, matches: np.ndarray
) -> dict[str, float]:
    """Returns the mean reciprocal rank of matches by their cosines, and recall at 1, 5 and 10.

    A candidate that is as near as the match is ahead of it, unless it is a match too.

    Args:
        queries: vectors (rows, D).
        candidates: vectors (rows, D), each the match of the query in its place.
        matches: ids (rows,) of the matches, of which several may be one text.
    """
    return _metrics(queries, candidates, lambda rows: matches[rows][:, None] == matches[None])


def match_metrics(
    queries: np.ndarray, candidates: np.ndarray, pairs: np.ndarray
) -> dict[str, float]:
    """Returns the metrics of `retrieval_metrics` of queries with any number of matches.

    The rank of a query is that of its nearest match.

    Args:
        queries: vectors (Q, D).
        candidates: vectors (C, D).
        pairs: places (pairs, 2) of a query and of a candidate that match; each query has one.
    """
    are_matches = np.zeros((len(queries), len(candidates)), bool)
    are_matches[pairs[:, 0], pairs[:, 1]] = True
    return _metrics(queries, candidates, are_matches.__getitem__)


def _metrics(queries, candidates, matches_of):
    queries, candidates = unit_vectors(queries), unit_vectors(candidates)
    ranks = []
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(queries)))
        found, are_matches = queries[rows] @ candidates.T, matches_of(rows)
        best = np.where(are_matches, found, -np.inf).max(axis=1, keepdims=True)
        # Sums in another order differ in the last bits.
        ahead = (found >= best - 1e-9) & ~are_matches
        ranks.append(1 + ahead.sum(axis=1))
    ranks = np.concatenate(ranks)
    recalls = {f"recall_at_{cutoff}": float((ranks <= cutoff).mean()) for cutoff in CUTOFFS}
    return {"mean_reciprocal_rank": float((1 / ranks).mean()), **recalls}
