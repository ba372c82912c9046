"""Metrics of ranking: where the match of a text is among the other texts."""

import numpy as np

from keras_transformer.zoo.outputs import unit_vectors

CUTOFFS = (1, 5, 10)
_ROWS_AT_ONCE = 512


def retrieval_metrics(
    queries: np.ndarray, candidates: np.ndarray, matches: np.ndarray
) -> dict[str, float]:
    """Returns the mean reciprocal rank of matches by their cosines, and recall at 1, 5 and 10.

    The rank of a query with several matches is that of the nearest; a candidate that is as near is
    ahead of it, unless it is a match too.

    Args:
        queries: vectors (rows, D).
        candidates: vectors (rows, D), each the match of the query in its place.
        matches: ids (rows,) of the matches, of which several may be one text; or (rows, 2) of both
            sides of each pair: a candidate whose pair has either id is a match too.
    """
    queries, candidates = unit_vectors(queries), unit_vectors(candidates)
    ids = matches.reshape(len(matches), -1)
    ranks = []
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(queries)))
        found = queries[rows] @ candidates.T
        are_matches = (ids[rows][:, None] == ids[None]).any(axis=-1)
        own = np.where(are_matches, found, -np.inf).max(axis=1, keepdims=True)
        # Sums in another order differ in the last bits.
        ahead = (found >= own - 1e-9) & ~are_matches
        ranks.append(1 + ahead.sum(axis=1))
    ranks = np.concatenate(ranks)
    recalls = {f"recall_at_{cutoff}": float((ranks <= cutoff).mean()) for cutoff in CUTOFFS}
    return {"mean_reciprocal_rank": float((1 / ranks).mean()), **recalls}
