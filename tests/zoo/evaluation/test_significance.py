"""McNemar's test and the paired bootstrap, against SciPy's and sacrebleu's own numbers."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
import sacrebleu
import scipy.stats

from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.significance import (
    Answers,
    bleu_of_rows,
    mcnemar,
    paired_interval,
)

ACCURACY = Metric(name="accuracy", points=100.0)


def right_of(both, first, second, neither):
    """Whether two models are right, by the numbers of rows."""
    one = [True] * (both + first) + [False] * (second + neither)
    other = [True] * both + [False] * first + [True] * second + [False] * neither
    return np.array(one), np.array(other)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 0), (1, 9), (12, 5), (40, 41)])
def test_mcnemar_is_the_sum_of_binomial_probabilities(first, second):
    found = mcnemar(*right_of(20, first, second, 7))
    assert (found.first, found.second) == (first, second)
    total, fewer = first + second, min(first, second)
    tail = sum(Fraction(comb(total, k), 2**total) for k in range(fewer + 1))
    assert found.p_value == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-9)


def test_the_interval_is_scipys():
    """SciPy draws the same rows from the same generator, so the ends are equal."""
    rng = np.random.default_rng(5)
    first, second = rng.random(80) < 0.6, rng.random(80) < 0.75
    expected = scipy.stats.bootstrap(
        (first, second), lambda a, b, axis=-1: b.mean(axis=axis) - a.mean(axis=axis), paired=True,
        vectorized=True, method="percentile", n_resamples=700, rng=np.random.default_rng(11),
    ).confidence_interval  # fmt: skip
    answers = [Answers(metric=ACCURACY, of=lambda rows, one=one: float(one[rows].mean()))
               for one in (first, second)]  # fmt: skip
    found = paired_interval(*answers, 80, samples=700, seed=11)
    np.testing.assert_allclose(found, tuple(expected), rtol=1e-12)


def test_the_same_answers_do_not_differ():
    right = np.array([True, False, True])
    answers = Answers(metric=ACCURACY, of=lambda rows: float(right[rows].mean()))
    assert paired_interval(answers, answers, 3) == (0.0, 0.0)


def test_undefined_samples_do_not_count():
    defined = Answers(metric=ACCURACY, of=lambda rows: float(rows.mean()))
    never = Answers(metric=ACCURACY, of=lambda rows: None)
    several = Answers(
        metric=ACCURACY, of=lambda rows: None if np.ptp(rows) == 0 else float(rows.mean()) + 1
    )
    assert paired_interval(defined, never, 2) is None
    assert paired_interval(defined, several, 2) == (1.0, 1.0)


def test_bleu_of_rows_is_that_of_their_texts():
    references = ["a man rides a brown horse .", "two dogs run over the green grass !", "no .",
                  "the woman in the red coat is reading a book ."]  # fmt: skip
    texts = ["a man is riding a brown horse .", "two dogs run over green grass", "yes .",
             "the woman in the red coat reads ."]  # fmt: skip
    of = bleu_of_rows(texts, references)
    for rows in ([0, 1, 2, 3], [3, 3, 1], [2], [0]):
        drawn = [texts[row] for row in rows], [[references[row] for row in rows]]
        expected = sacrebleu.BLEU().corpus_score(*drawn).score
        assert of(np.array(rows)) == pytest.approx(expected, abs=1e-9), rows
