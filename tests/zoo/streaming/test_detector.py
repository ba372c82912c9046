"""Smoothing, threshold and refractory time against a plain computation over the whole stream."""

import numpy as np
import pytest

from keras_transformer.zoo.streaming.detector import Detector


def plain(rows, ends, windows, threshold, refractory, ignored=()):
    """Detections (end, label, score) of lists of probabilities, of which all are at hand."""
    found, last = [], None
    for place, end in enumerate(ends):
        recent = rows[max(0, place + 1 - windows) : place + 1]
        means = [sum(column) / windows for column in zip(*recent, strict=True)]
        order = sorted(range(len(means)), key=lambda label: -means[label])
        best = next(label for label in order if label not in ignored)
        if means[best] >= threshold and (last is None or end - last >= refractory):
            found.append((end, best, means[best]))
            last = end
    return found


@pytest.mark.parametrize(("windows", "threshold", "refractory", "ignored"), [
    (1, 0.5, 0, ()), (3, 0.5, 100, ()), (3, 0.4, 450, (1,)), (5, 0.45, 1000, (0, 2)),
])  # fmt: skip
def test_as_a_plain_computation(windows, threshold, refractory, ignored):
    rng = np.random.default_rng(windows)
    logits = np.cumsum(rng.normal(0, 1.5, (300, 4)), axis=0) * 0.5
    rows = np.exp(logits - logits.max(axis=1, keepdims=True))
    rows /= rows.sum(axis=1, keepdims=True)
    ends = 100 * np.arange(1, 301)
    detector = Detector(
        4, windows=windows, threshold=threshold, refractory=refractory, ignored=ignored
    )
    heard = [(end, detector.observe(row, end)) for row, end in zip(rows, ends, strict=True)]
    found = [(end, *one) for end, one in heard if one is not None]
    expected = plain(rows.tolist(), ends.tolist(), windows, threshold, refractory, ignored)
    assert len(expected) > 3
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    np.testing.assert_allclose([one[2] for one in found], [one[2] for one in expected], rtol=1e-5)


def test_windows_before_the_first_count_as_zeros():
    detector = Detector(2, windows=4, threshold=0.5, refractory=0)
    assert detector.observe(np.array([1.0, 0.0]), 1) is None
    assert detector.observe(np.array([1.0, 0.0]), 2) == (0, 0.5)
