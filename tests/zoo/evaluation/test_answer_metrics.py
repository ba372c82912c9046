"""Metrics of answers, as SQuAD's evaluation defines them."""

import numpy as np
import pytest

from keras_transformer.zoo.evaluation.answer_metrics import (
    answer_metrics,
    best_scores,
    best_threshold,
    normalized,
    word_f1,
)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("The  Denver Broncos!", "denver broncos"), ("an apple a day", "apple day"),
        ("10,000", "10000"), ("theatre", "theatre"), ("U.S.", "us"), ("the", ""),
        ("caf\u00e9 \u2014 a", "caf\u00e9 \u2014"),
    ],
)  # fmt: skip
def test_what_does_not_count(answer, found):
    assert normalized(answer) == found


@pytest.mark.parametrize(
    ("answer", "expected", "f1"),
    [
        ("Denver Broncos", "the Broncos", 2 / 3), ("a b c d", "c d e", 4 / 6),
        ("x", "y", 0.0), ("", "", 1.0), ("", "y", 0.0), ("b b", "b", 2 / 3),
    ],
)  # fmt: skip
def test_f1_of_words(answer, expected, f1):
    assert word_f1(answer, expected) == pytest.approx(f1)


def test_the_best_of_several_answers_counts():
    assert best_scores("in Paris", ["Rome", "Paris", "the city of Paris"]) == (0.0, 2 / 3)
    assert best_scores("paris.", ["Rome", "Paris"]) == (1.0, 1.0)
    assert best_scores("", []) == (1.0, 1.0) and best_scores("x", []) == (0.0, 0.0)
    assert best_scores("", ["the"]) == (1.0, 1.0), "nothing of it counts"


def test_questions_with_and_without_answers():
    found = answer_metrics(["x", "y", "", "z"], [["x"], ["y w"], [], []])
    assert found == {
        "f1": pytest.approx((1 + 2 / 3 + 1 + 0) / 4), "exact_match": 0.5,
        "answerable_f1": pytest.approx((1 + 2 / 3) / 2), "answerable_exact_match": 0.5,
        "unanswerable_f1": 0.5, "unanswerable_exact_match": 0.5,
    }  # fmt: skip
    assert answer_metrics(["x"], [["x"]]) == {"f1": 1.0, "exact_match": 1.0}


def test_the_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(50):
        margins = rng.integers(-4, 5, 12).astype(float)
        answered, empty = rng.random(12), rng.integers(0, 2, 12).astype(float)
        found = best_threshold(margins, answered, empty)

        def mean(threshold, parts=(margins, answered, empty)):
            return np.where(parts[0] > threshold, parts[2], parts[1]).mean()

        assert mean(found) == pytest.approx(max(map(mean, np.arange(-5.5, 5.0))))
