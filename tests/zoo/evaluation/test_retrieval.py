"""Ranks of matches, against a loop over all candidates."""

import numpy as np
import pytest

from keras_transformer.zoo.evaluation import retrieval
from keras_transformer.zoo.evaluation.retrieval import match_metrics, retrieval_metrics

RNG = np.random.default_rng(0)
QUERIES = RNG.normal(size=(40, 3)).astype("float32")
CANDIDATES = (QUERIES + RNG.normal(0, 0.8, (40, 3))).astype("float32") * 3
MATCHES = np.arange(40)
# Two rows have the same second text.
CANDIDATES[7], MATCHES[7] = CANDIDATES[2], 2


def ranks():
    for row, query in enumerate(QUERIES.astype("float64")):
        cosines = [
            one @ query / np.linalg.norm(one) / np.linalg.norm(query)
            for one in CANDIDATES.astype("float64")
        ]
        yield 1 + sum(
            value >= cosines[row] for other, value in enumerate(cosines)
            if MATCHES[other] != MATCHES[row]
        )  # fmt: skip


@pytest.mark.parametrize("rows_at_once", [512, 7])
def test_ranks(monkeypatch, rows_at_once):
    monkeypatch.setattr(retrieval, "_ROWS_AT_ONCE", rows_at_once)
    expected = np.array(list(ranks()))
    found = retrieval_metrics(QUERIES, CANDIDATES, MATCHES)
    assert found == {
        "mean_reciprocal_rank": pytest.approx((1 / expected).mean()),
        **{f"recall_at_{k}": pytest.approx((expected <= k).mean()) for k in (1, 5, 10)},
    }
    assert 0 < found["recall_at_1"] < found["recall_at_10"] < 1


def test_vectors_that_are_all_the_same_rank_last():
    found = retrieval_metrics(np.ones((4, 2)), np.ones((4, 2)), np.arange(4))
    assert found["mean_reciprocal_rank"] == 0.25 and found["recall_at_1"] == 0.0


def test_the_rank_of_several_matches_is_that_of_the_nearest():
    pairs = np.array([[row, row] for row in range(40)] + [[0, 5], [0, 9], [3, 1]])
    candidates = np.concatenate([CANDIDATES, RNG.normal(size=(10, 3))]).astype("float32")
    found = match_metrics(QUERIES, candidates, pairs)
    ranks = []
    for row, query in enumerate(QUERIES.astype("float64")):
        cosines = candidates @ query / np.linalg.norm(candidates, axis=1)
        own = [candidate for one, candidate in pairs if one == row]
        best = max(cosines[own])
        others = np.delete(cosines, own)
        ranks.append(1 + int((others >= best - 1e-9).sum()))
    assert found["mean_reciprocal_rank"] == pytest.approx(np.mean(1 / np.array(ranks)))
    assert found["recall_at_5"] == pytest.approx(np.mean(np.array(ranks) <= 5))
