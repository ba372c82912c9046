"""Sampled generation: seeds, frequencies, and that each row stands for itself."""

import itertools
import math

import numpy as np
import pytest

from keras_transformer.zoo.generation.decoding import Decoding
from tests.zoo.generation.prefix_model import (
    END,
    START,
    PrefixModel,
    log_softmax,
    permitted,
    repeats,
    run,
    values,
)

SAMPLED = Decoding(max_tokens=8, temperature=1.0, seed=7)


def test_a_sampled_row_depends_on_its_place_and_the_seed_alone():
    model = PrefixModel(6, seed=5)
    six = values(run(model, SAMPLED, rows=range(6)))
    assert values(run(model, SAMPLED, rows=range(6))) == six
    assert values(run(model, SAMPLED, rows=range(3))) == six[:3]
    # Another first row changes no other.
    changed = values(run(model, SAMPLED, rows=(50, 1, 2, 3, 4, 5)))
    assert changed[1:] == six[1:]
    other = Decoding(max_tokens=8, temperature=1.0, seed=8)
    assert values(run(model, other, rows=range(6))) != six


def test_equal_rows_are_sampled_apart():
    model = PrefixModel(6, seed=5)
    assert len({tuple(g.ids) for g in run(model, SAMPLED, rows=[0] * 20)}) > 10


def test_sampling_is_reproducible_number_for_number():
    # One uniform number a token, through the inverse of the cumulative distribution.
    model = PrefixModel(6, seed=5)
    for row, generated in enumerate(run(model, SAMPLED, rows=range(4))):
        generator = np.random.default_rng((7, row))
        ids = []
        while len(ids) < 8:
            own = log_softmax(permitted(model, (100 + row, START, *ids), (START,)))
            point = 1 - generator.random()
            reached = itertools.accumulate(math.exp(value) for value in own.values())
            token = next(t for t, total in zip(own, reached, strict=True) if total >= point)
            if token == END:
                break
            ids.append(token)
        assert generated.ids.tolist() == ids


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_sampled_frequencies_are_the_distribution(temperature):
    logits = np.float32([5, 0.3, -1, 1.2, 0, 2, -0.5])
    model = PrefixModel(7, logits=lambda prefix: logits)
    probabilities = np.exp(logits[1:] / temperature)
    probabilities /= probabilities.sum()
    decoding = Decoding(max_tokens=20, temperature=temperature, seed=3)
    found = run(model, decoding, rows=range(300), stop_ids=())
    counts = np.bincount(np.concatenate([g.ids for g in found]), minlength=7)
    expected = 6000 * probabilities
    # The 0.999 quantile of chi-square with five degrees of freedom.
    assert counts[0] == 0
    assert ((counts[1:] - expected) ** 2 / expected).sum() < 20.515


def test_truncated_sampling_stays_inside():
    model = PrefixModel(6, logits=lambda prefix: [9, -9, 3, 1, 2, 2.5])
    decoding = Decoding(max_tokens=50, temperature=5.0, top_k=3)
    found = run(model, decoding, rows=range(4))
    assert {int(token) for g in found for token in g.ids} == {2, 4, 5}
    nucleus = Decoding(max_tokens=50, temperature=1.0, top_p=0.5)
    assert {int(t) for g in run(model, nucleus, rows=range(4)) for t in g.ids} == {2, 5}


def test_sampling_one_candidate_is_greedy():
    model = PrefixModel(6, seed=3)
    greedy = values(run(model, Decoding(max_tokens=9), rows=range(6)))
    for changes in ({"temperature": 1e-6}, {"temperature": 3.0, "top_k": 1}):
        assert values(run(model, Decoding(max_tokens=9, **changes), rows=range(6))) == greedy


def test_no_run_is_sampled_twice():
    model = PrefixModel(5, logits=lambda prefix: [0, -9, 1, 0, 0])
    decoding = Decoding(max_tokens=9, temperature=1.0, no_repeat_ngram=2)
    prompt = np.array([2, 2, 3])
    found = run(model, decoding, rows=range(20), prompts=[prompt] * 20)
    assert not any(repeats([*prompt, START, *g.ids], 2) for g in found)
