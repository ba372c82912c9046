"""Temperatures against a search of all, and calibration errors row by row."""

import numpy as np
import pytest
import scipy.special

from keras_transformer.zoo.evaluation.calibration import (
    HIGHEST_TEMPERATURE,
    best_temperature,
    expected_calibration_error,
    reliability,
)
from keras_transformer.zoo.outputs import class_probabilities

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (4000, 4)).astype("float32")
# Labels drawn by the probabilities of the logits over 2.5.
CUMULATED = scipy.special.softmax(LOGITS / 2.5, axis=1).cumsum(axis=1)
TARGETS = (RNG.random((4000, 1)) > CUMULATED).sum(axis=1).clip(0, 3)


def test_the_temperature_of_drawn_labels_is_found():
    found = best_temperature(TARGETS, LOGITS)
    assert found == pytest.approx(2.5, rel=0.1)
    tried = np.exp(np.linspace(-1, 2, 2000))
    nats = [
        -scipy.special.log_softmax(LOGITS / t, axis=1)[np.arange(4000), TARGETS].mean()
        for t in tried
    ]
    # The targets are less than certain by 3 in 16,004, which moves the minimum a little.
    assert found == pytest.approx(tried[np.argmin(nats)], rel=0.01)
    assert best_temperature(TARGETS, LOGITS / 2.5) == pytest.approx(found / 2.5, rel=1e-3)


def test_calibrated_probabilities_have_a_smaller_error():
    hits = LOGITS.argmax(axis=1) == TARGETS
    before = expected_calibration_error(hits, class_probabilities(LOGITS).max(axis=1))
    temperature = best_temperature(TARGETS, LOGITS)
    after = class_probabilities(LOGITS, temperature)
    assert expected_calibration_error(hits, after.max(axis=1)) < 0.02 < 0.2 < before
    np.testing.assert_array_equal(after.argmax(axis=1), LOGITS.argmax(axis=1))
    np.testing.assert_allclose(
        after, scipy.special.softmax(LOGITS.astype("float64") / temperature, axis=1), rtol=1e-5
    )


def test_rows_that_are_all_right_leave_a_finite_temperature():
    logits = np.eye(3, dtype="float32")[[0, 1, 2] * 5] * 4
    found = best_temperature(np.array([0, 1, 2] * 5), logits)
    # p of the label is (n + 1 / k) / (n + 1) at the minimum.
    assert class_probabilities(logits, found)[0, 0] == pytest.approx((15 + 1 / 3) / 16, abs=1e-4)
    # Logits that say nothing have none.
    wrong = best_temperature(np.array([1, 2, 0] * 5), logits)
    assert wrong == pytest.approx(HIGHEST_TEMPERATURE, rel=1e-3)


def test_the_calibration_error_row_by_row():
    confidences = np.array([0.0, 0.05, 1 / 15, 0.07, 0.5, 0.52, 0.99, 1.0])
    hits = np.array([0, 1, 0, 1, 1, 0, 1, 1], bool)
    bins = {}
    for hit, confidence in zip(hits, confidences, strict=True):
        place = next(one for one in range(15) if confidence <= (one + 1) / 15 + 1e-12)
        bins.setdefault(place, []).append((hit, confidence))
    expected = sum(abs(sum(h - c for h, c in rows)) for rows in bins.values()) / 8
    assert expected_calibration_error(hits, confidences) == pytest.approx(expected)
    found = reliability(hits, confidences)
    assert {place: one.rows for place, one in enumerate(found) if one.rows} == {
        place: len(rows) for place, rows in bins.items()
    }
    assert len(found) == 15 and found[2].accuracy is None and found[0].lowest == 0.0
