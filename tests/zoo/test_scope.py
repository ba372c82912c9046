"""Scores of what is in a classifier's scope, against SciPy, and their thresholds."""

import re

import numpy as np
import pytest
import scipy.special

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.out_of_scope import best_scope_threshold
from keras_transformer.zoo.outputs import Outputs, class_predictions
from keras_transformer.zoo.scope import SCORES, check_out_of_scope, is_in_scope
from keras_transformer.zoo.training.train import train

LOGITS = np.random.default_rng(0).normal(0, 3, (20, 5)).astype("float32")
EXPECTED = {
    "probability": scipy.special.softmax(LOGITS.astype("float64") / 2, axis=1).max(axis=1),
    "energy": scipy.special.logsumexp(LOGITS.astype("float64"), axis=1),
    "max-logit": LOGITS.max(axis=1),
}


@pytest.mark.parametrize("name", SCORES)
def test_scores(name):
    np.testing.assert_allclose(SCORES[name](LOGITS, 2.0), EXPECTED[name], rtol=1e-6)
    threshold = float(np.median(EXPECTED[name]))
    inside = is_in_scope(LOGITS, 2.0, {"score": name, "threshold": threshold})
    np.testing.assert_array_equal(inside, EXPECTED[name] >= threshold)
    assert is_in_scope(LOGITS, 2.0, None).all()
    decides = {"score": name, "threshold": threshold}
    found = class_predictions("abcde", Outputs(LOGITS, [False] * 20), 2.0, decides)
    plain = class_predictions("abcde", Outputs(LOGITS, [False] * 20), 2.0)
    assert [one.label is not None for one in found] == inside.tolist()
    assert [one.scores for one in found] == [one.scores for one in plain]
    assert all(
        one.label in (None, other.label) for one, other in zip(found, plain, strict=True)
    )


@pytest.mark.parametrize("weight", [1.0, 0.25, 4.0])
def test_no_threshold_is_better(weight):
    rng = np.random.default_rng(1)
    inside, outside = np.round(rng.normal(1, 1, 80), 1), np.round(rng.normal(-0.5, 1, 30), 1)
    hits = rng.random(80) < 0.8

    def value(cut):
        return ((inside >= cut) & hits).mean() + weight * (outside < cut).mean()

    found = best_scope_threshold(inside, hits, outside, weight)
    tried = [value(cut) for cut in np.arange(-5, 5, 0.01)]
    assert value(found) == pytest.approx(max(tried))
    # Where no row is right, all are rejected; where there is nothing to reject, none is.
    none = best_scope_threshold(inside, np.zeros(80, bool), outside)
    assert (outside < none).all() and none > outside.max()
    assert best_scope_threshold(np.array([1.0]), np.array([True]), np.array([1.0])) in (0.0, 2.0)


@pytest.mark.parametrize(
    "value",
    [
        "probability", {}, {"score": "luck", "threshold": 0.5}, {"score": "energy"},
        {"score": "energy", "threshold": 1}, {"score": "energy", "threshold": float("nan")},
        {"score": [], "threshold": 0.5},
    ],
)  # fmt: skip
def test_other_decisions_are_refused(value):
    message = (
        "Expected out_of_scope to have a score among probability, energy, max-logit and a "
        f"threshold, got out_of_scope={value!r}."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        check_out_of_scope(value)


@pytest.mark.parametrize("option", [{"scope_score": "energy"}, {"scope_weight": 0.5}])
def test_a_threshold_needs_rows_to_reject(option):
    with pytest.raises(InputError, match=f"Expected {next(iter(option))} only with out_of_scope"):
        train(
            "bert_tiny", train=(["a", "b"] * 5, ["x", "y"] * 5), validation=0.2, epochs=1, **option
        )
