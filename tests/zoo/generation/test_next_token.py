"""Repetition control, truncation and sampling of one step, against formulas and exact sets."""

import numpy as np
import pytest

from keras_transformer.zoo.generation.decoding import Decoding
from keras_transformer.zoo.generation.next_token import (
    ban_repeats,
    best_ids,
    candidates,
    draw,
    log_normalizer,
    penalize_seen,
)


def mask(vocab_size, ids):
    return np.isin(np.arange(vocab_size), ids)


def kept(logits, **settings):
    """The candidates in rising order, with the probability of each."""
    ids, weights = candidates(np.float32(logits), Decoding(**{"temperature": 1.0, **settings}))
    order = np.argsort(ids)
    return ids[order].tolist(), weights[order] / weights.sum()


def test_log_normalizer_is_stable():
    logits = np.float32([[0, 0, 0, 0], [3e4, 3e4, -3e4, -np.inf], [-3e4, -3e4, -3e4, -3e4]])
    expected = [np.log(4), 3e4 + np.log(2), -3e4 + np.log(4)]
    np.testing.assert_allclose(log_normalizer(logits), expected, rtol=1e-15)


def test_the_penalty_divides_what_is_positive_and_multiplies_what_is_negative():
    logits = np.float32([[2, -2, 0, 4, -np.inf], [2, -2, 1, 4, -6]])
    history = np.array([[-1, 0, 1, 1], [2, 3, 4, 4]])
    found = penalize_seen(logits, history, 4.0, stops=mask(5, [3]))
    expected = np.float32([[0.5, -8, 0, 4, -np.inf], [2, -2, 0.25, 4, -24]])
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32
    assert logits[0, 0] == 2


def test_a_penalty_of_one_changes_nothing():
    logits = np.float32([[2, -2]])
    assert penalize_seen(logits, np.array([[0]]), 1.0, mask(2, [])) is logits


@pytest.mark.parametrize(
    ("length", "history", "stops", "banned"),
    [
        (0, [1, 2, 1], [], []),
        (1, [1, 2, 1], [], [1, 2]),
        (1, [1, 2, 1], [2], [1]),
        (2, [1, 2, 1], [], [2]),
        (2, [1, 2, 1, 3, 1], [], [2, 3]),
        (2, [1, 2, 1, 3, 1], [3], [2]),
        (2, [1, 1], [], [1]),
        (2, [1], [], []),
        (2, [1, 2, 3], [], []),
        (3, [1, 2, 3, 0, 1, 2], [], [3]),
        (3, [2, 2, 2], [], [2]),
        (3, [1, 2], [], []),
        (9, [1, 2], [], []),
    ],
)
def test_what_would_complete_an_earlier_run_is_banned(length, history, stops, banned):
    # The second row is longer, so that the first is filled up.
    other = [3, 0, 3, 0, 3, 0, 3]
    ids = np.array([[-1] * (len(other) - len(history)) + history, other])
    scores = np.zeros((2, 4))
    found = ban_repeats(scores, ids, length, mask(4, stops))
    assert np.flatnonzero(np.isneginf(found[0])).tolist() == banned
    assert np.flatnonzero(np.isneginf(found[1])).tolist() == (
        sorted({0, 3} - set(stops)) if length == 1 else [0] if 2 <= length <= 6 else []
    )
    assert not scores.any()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20, 30])
def test_best_ids_are_the_head_of_a_stable_sort(count):
    # Four values in twenty places: ties everywhere.
    scores = np.random.default_rng(0).integers(4, size=20) / 4
    expected = sorted(range(20), key=lambda i: (-scores[i], i))[:count]
    assert best_ids(scores, count).tolist() == expected


def test_top_k_keeps_the_most_probable():
    assert kept([0, 3, 1, 2, -1], top_k=3)[0] == [1, 2, 3]
    assert kept([0, 3, 1, 2, -1], top_k=9)[0] == [0, 1, 2, 3, 4]


def test_top_k_of_equals_keeps_the_lower_ids():
    assert kept([1, 2, 1, 1, 2, 1], top_k=4)[0] == [0, 1, 2, 4]


# Binary fractions are exact in every sum.
HALVES = np.log([0.125, 0.5, 0.125, 0.25])


@pytest.mark.parametrize(
    ("top_p", "ids"),
    [
        (0.1, [1]),
        (0.49, [1]),
        (0.51, [1, 3]),
        (0.74, [1, 3]),
        (0.76, [0, 1, 3]),
        (0.87, [0, 1, 3]),
        (0.88, [0, 1, 2, 3]),
        (1.0, [0, 1, 2, 3]),
    ],
)
def test_top_p_keeps_the_fewest_that_hold_it(top_p, ids):
    found, probabilities = kept(HALVES, top_p=top_p)
    assert found == ids
    expected = np.exp(HALVES[ids]) / np.exp(HALVES[ids]).sum()
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)


@pytest.mark.parametrize(("top_p", "count"), [(0.25, 2), (0.26, 3), (0.5, 4), (0.99, 8)])
def test_top_p_of_equals_keeps_the_lower_ids(top_p, count):
    assert kept(np.zeros(8), top_p=top_p)[0] == list(range(count))


def test_top_p_is_of_what_top_k_leaves():
    # Of 2/3 and 1/3 the first alone holds 0.6, of the whole distribution it holds 0.5.
    assert kept(HALVES, top_k=2, top_p=0.6)[0] == [1]
    assert kept(HALVES, top_p=0.6)[0] == [1, 3]


@pytest.mark.parametrize("top_p", [0.05, 0.3, 0.9, 0.999])
def test_top_p_of_many_tokens_is_the_head_of_the_sorted_distribution(top_p):
    logits = np.random.default_rng(1).normal(scale=3, size=5000).astype(np.float32)
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum()
    order = np.argsort(-probabilities)
    count = 1
    while probabilities[order[:count]].sum() < top_p:
        count += 1
    assert kept(logits, top_p=top_p)[0] == sorted(order[:count].tolist())


def test_temperature_divides_the_logits():
    logits = np.float32([0, 1, 2])
    expected = np.exp(logits / 0.5) / np.exp(logits / 0.5).sum()
    np.testing.assert_allclose(kept(logits, temperature=0.5)[1], expected, rtol=1e-6)


def test_temperature_comes_before_top_p():
    # At temperature 1/2 the probabilities 4:2:1:1 become 16:4:1:1, of which the first holds 0.72.
    assert kept(HALVES, top_p=0.7, temperature=0.5)[0] == [1]


def test_the_smallest_temperature_is_the_greedy_choice():
    ids, probabilities = kept([1, 5, 4, -np.inf], temperature=5e-324)
    np.testing.assert_array_equal(probabilities, [0, 1, 0, 0])
    assert draw(np.float32([1, 5, 4]), Decoding(temperature=5e-324), Fixed(0.5)) == 1


class Fixed:
    """A generator of one number."""

    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


@pytest.mark.parametrize("number", [0.0, 1e-300, 0.5, 1 - 2**-53])
def test_a_token_of_probability_zero_is_never_drawn(number):
    logits = np.float32([-np.inf, -np.inf, 1, -np.inf])
    assert draw(logits, Decoding(temperature=1.0), Fixed(number)) == 2
