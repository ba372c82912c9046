"""Metrics of sets of labels against scikit-learn's, and thresholds against a search of all."""

import numpy as np
import pytest
import sklearn.metrics

from keras_transformer.zoo.evaluation.label_sets import (
    best_thresholds,
    label_set_metrics,
    undefined_by_label_sets,
)
from keras_transformer.zoo.outputs import Outputs, label_set_predictions, threshold_logits

LABELS = ("a", "b", "c", "d")
RNG = np.random.default_rng(0)
TARGETS = (RNG.random((60, 4)) < [0.5, 0.2, 0.1, 0.0]).astype("float32")
SCORES = (RNG.normal(size=(60, 4)) + 1.5 * TARGETS - 1).astype("float32")
# Of few values, so that many are equal.
COARSE = np.round(SCORES)


def sigmoid(values):
    return 1 / (1 + np.exp(-values.astype("float64")))


@pytest.mark.parametrize("cuts", [np.zeros(4), np.array([0.3, -0.8, -1.0, 5.0])])
def test_metrics_are_those_of_scikit_learn(cuts):
    found = label_set_metrics(TARGETS, SCORES, LABELS, cuts)
    predictions = SCORES >= cuts
    for average in ("micro", "macro"):
        places = range(4) if average == "micro" else np.flatnonzero(
            (predictions | (TARGETS > 0)).any(axis=0)
        )  # fmt: skip
        expected = sklearn.metrics.f1_score(
            TARGETS, predictions, labels=places, average=average, zero_division=0
        )
        assert found[f"{average}_f1"] == pytest.approx(expected)
    assert found["exact_match"] == pytest.approx((predictions == TARGETS).all(axis=1).mean())
    expected = sklearn.metrics.average_precision_score(TARGETS[:, :3], SCORES[:, :3])
    assert found["mean_average_precision"] == pytest.approx(expected)
    expected = [sklearn.metrics.log_loss(t, p, labels=[0, 1]) for t, p in zip(
        TARGETS.T, sigmoid(SCORES).T, strict=True
    )]  # fmt: skip
    assert found["cross_entropy"] == pytest.approx(np.mean(expected))
    has, predicted = TARGETS[:, 0], predictions[:, 0]
    assert found["per_label"]["a"] == {
        "precision": pytest.approx(sklearn.metrics.precision_score(has, predicted)),
        "recall": pytest.approx(sklearn.metrics.recall_score(has, predicted)),
        "f1": pytest.approx(sklearn.metrics.f1_score(has, predicted)),
        "average_precision": pytest.approx(
            sklearn.metrics.average_precision_score(has, SCORES[:, 0])
        ),
        "rows": int(has.sum()),
    }  # fmt: skip
    assert found["per_label"]["d"]["average_precision"] is None
    assert "undefined" not in found


def test_rows_without_labels_leave_metrics_undefined():
    found = label_set_metrics(TARGETS * 0, SCORES, LABELS, np.zeros(4))
    assert set(undefined_by_label_sets(TARGETS * 0)) == set(found["undefined"])
    assert all(found[name] is None for name in found["undefined"])
    assert found["cross_entropy"] > 0 and found["exact_match"] >= 0


@pytest.mark.parametrize("scores", [SCORES, COARSE], ids=["distinct", "coarse"])
def test_no_threshold_has_a_better_f1(scores):
    thresholds = best_thresholds(TARGETS, scores)
    cuts = threshold_logits(thresholds, 4)
    for label in range(3):
        has, values = TARGETS[:, label], scores[:, label].astype("float64")
        tried = [values.min() - 1, *values, *(values + 1e-4), *(values - 1e-4)]
        best = max(sklearn.metrics.f1_score(has, values >= cut) for cut in tried)
        assert sklearn.metrics.f1_score(has, values >= cuts[label]) == pytest.approx(best)
    assert thresholds[3] == 0.5
    np.testing.assert_allclose(sigmoid(cuts), thresholds, rtol=1e-12)


def test_a_threshold_that_separates_lies_midway():
    [one] = best_thresholds(np.array([[1], [1], [0]]), np.array([[3.0], [1.0], [-2.0]]))
    assert one == pytest.approx(1 / (1 + np.exp(0.5)))
    # All rows have it: below the lowest.
    [all_have] = best_thresholds(np.ones((2, 1)), np.array([[-3.0], [-5.0]]))
    assert all_have == pytest.approx(1 / (1 + np.exp(6)))
    # Logits of any size leave a threshold of float32's range.
    [far] = best_thresholds(np.array([[1], [0]]), np.array([[-900.0], [-2000.0]]))
    assert 0 < far < 1


def test_predictions_are_the_labels_that_reach_their_thresholds():
    scores = np.array([[0.0, 2.0, -1.0], [-9.0, -9.0, -800.0]], "float32")
    first, second = label_set_predictions(("a", "b", "c"), Outputs(scores, [False, True]))
    assert list(first.labels) == ["b", "a"] and second.labels == {}
    assert first.scores == pytest.approx(dict(zip("abc", sigmoid(scores[0]), strict=True)))
    assert (first.truncated, second.truncated) == (False, True)
    assert second.scores["c"] == 0.0
    [first, _] = label_set_predictions(
        ("a", "b", "c"), Outputs(scores, [False, True]), [0.6, 0.5, 0.25]
    )
    assert list(first.labels) == ["b", "c"]
