"""Beam search: equal to an exhaustive search where it is wide enough, and to a slow one else."""

import math

import numpy as np
import pytest

from keras_transformer.zoo.generation.decoding import Decoding
from keras_transformer.zoo.generation.loop import generate
from tests.zoo.generation.prefix_model import (
    START,
    PrefixModel,
    exhaustive,
    run,
    slow_beam_search,
    values,
)

PENALTIES = [1.0, 0.0, 0.6, 2.5, -0.7]


def covering(num_living, num_stops, max_tokens):
    """As many beams as the last step has extensions and all steps ends: nothing is dropped."""
    last = num_living ** (max_tokens - 1) * (num_living + num_stops)
    earlier = sum(num_living**length * num_stops for length in range(max_tokens - 1))
    return last + earlier


def padded(model, vocab_size):
    """The model with tokens that are almost impossible, as there must be one for each beam."""
    rest = np.full(vocab_size - model.vocab_size, -30.0)
    return PrefixModel(vocab_size, logits=lambda prefix: [*model.logits(prefix), *rest])


@pytest.mark.parametrize("length_penalty", PENALTIES)
@pytest.mark.parametrize(
    ("num_living", "stops", "max_tokens"),
    [(2, (1,), 4), (2, (1,), 5), (3, (1,), 3), (5, (1,), 2), (2, (1, 2), 4), (3, (), 3)],
)
def test_a_wide_search_is_exhaustive(num_living, stops, max_tokens, length_penalty):
    beams = covering(num_living, len(stops), max_tokens)
    used = 1 + len(stops) + num_living
    vocab_size = max(beams, used)
    forbidden = (START, *range(used, vocab_size))
    model = padded(PrefixModel(used, seed=num_living), vocab_size)
    decoding = Decoding(max_tokens=max_tokens, beams=beams, length_penalty=length_penalty)
    rows = range(12)
    found = run(model, decoding, rows=rows, stop_ids=stops, forbidden_ids=forbidden)
    expected = [
        exhaustive(model, (100 + row, START), stops, forbidden, max_tokens, length_penalty)
        for row in rows
    ]
    assert values(found) == expected
    assert len({len(ids) for ids, _, _ in expected}) > 1 or not stops


def test_a_wide_search_is_exhaustive_over_what_does_not_repeat():
    beams = covering(3, 1, 4)
    forbidden = (START, *range(5, beams))
    model = padded(PrefixModel(5, seed=9), beams)
    decoding = Decoding(max_tokens=4, beams=beams, no_repeat_ngram=2, length_penalty=2.0)
    prompt = np.array([2, 3, 2])
    found = generate(
        model,
        [(100 + row, *prompt) for row in range(10)],
        np.full(10, 4),
        decoding,
        stop_ids=(1,),
        forbidden_ids=forbidden,
        prompts=[prompt] * 10,
    )
    assert values(found) == [
        exhaustive(model, (100 + row, 2, 3, 2, 4), (1,), forbidden, 4, 2.0, no_repeat=2)
        for row in range(10)
    ]


@pytest.mark.parametrize("length_penalty", PENALTIES)
@pytest.mark.parametrize(
    "changes",
    [
        {"beams": 2},
        {"beams": 5},
        {"beams": 3, "repetition_penalty": 1.7},
        {"beams": 3, "no_repeat_ngram": 1},
        {"beams": 3, "no_repeat_ngram": 2, "repetition_penalty": 0.8},
    ],
    ids=str,
)
@pytest.mark.parametrize("stops", [(1,), (1, 4)])
def test_a_narrow_search_is_the_slow_one(changes, length_penalty, stops):
    model = PrefixModel(7, seed=1)
    decoding = Decoding(max_tokens=7, length_penalty=length_penalty, **changes)
    rows = range(8)
    expected = [slow_beam_search(model, (100 + r, START), stops, (0,), decoding) for r in rows]
    assert values(run(model, decoding, rows=rows, stop_ids=stops)) == expected


def test_a_batch_is_its_rows():
    model = PrefixModel(9, seed=2)
    decoding = Decoding(max_tokens=8, beams=4)
    batch = run(model, decoding, rows=range(6))
    assert values(batch) == [values(run(model, decoding, rows=(row,)))[0] for row in range(6)]


def ending(probability):
    """A model whose every step ends with some probability; three others share the rest."""
    rest = math.log((1 - probability) / 3)
    return PrefixModel(5, logits=lambda prefix: [-60, math.log(probability), rest, rest, rest])


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0, -1.0])
def test_a_row_ends_when_its_beams_are_complete_and_none_alive_is_better(length_penalty):
    # The end at once, then one of each of the two hypotheses alive: those alive after the second
    # step are worse by their length so far, whatever they could score at the limit.
    model = ending(0.6)
    (found,) = run(model, Decoding(max_tokens=50, beams=3, length_penalty=length_penalty))
    assert (found.ids.tolist(), found.finished, model.batches) == ([], True, [1, 3])
    assert found.log_probability == pytest.approx(math.log(0.6))


def test_an_end_counts_among_the_first_beams_alone():
    # Three tokens are more probable than the end: with three beams it is not looked at.
    model = ending(0.1)
    (found,) = run(model, Decoding(max_tokens=6, beams=3))
    assert (found.ids.tolist(), found.finished) == ([2] * 6, False)
    assert model.batches == [1] + [3] * 5
    (found,) = run(ending(0.1), Decoding(max_tokens=1, beams=4, length_penalty=-1.0))
    assert (found.ids.tolist(), found.finished) == ([2], False)
    # A fourth beam takes it, and ends of low probability win where length is punished.
    (found,) = run(ending(0.1), Decoding(max_tokens=6, beams=4, length_penalty=-1.0))
    assert (found.ids.tolist(), found.finished) == ([], True)


def test_rows_that_are_done_leave_the_batch():
    def logits(prefix):
        # Row r ends for sure after r tokens or more, which are certain too.
        row, length = prefix[0] - 100, len(prefix) - 2
        return [0.0, 40.0 if length >= row else -40.0, 30.0, -40.0]

    model = PrefixModel(4, logits=logits)
    found = run(model, Decoding(max_tokens=9, beams=2, length_penalty=0.0), rows=(0, 2, 3))
    assert [g.ids.tolist() for g in found] == [[], [2, 2], [2, 2, 2]]
    # A row's second beam is complete one step after its first.
    assert model.batches == [3, 6, 4, 4, 2]


def test_what_breaks_off_competes_with_what_ended():
    # The end is the second best extension, but a token less than that costs.
    unlikely = PrefixModel(3, logits=lambda prefix: [-60, -2.0, 2.0])
    (found,) = run(unlikely, Decoding(max_tokens=3, beams=2))
    assert (found.ids.tolist(), found.finished) == ([2, 2, 2], False)
    assert found.log_probability == pytest.approx(-3 * math.log1p(math.exp(-4)))
    likely = PrefixModel(3, logits=lambda prefix: [-60, 2.0, -2.0])
    (found,) = run(likely, Decoding(max_tokens=3, beams=2))
    assert (found.ids.tolist(), found.finished) == ([], True)


def test_a_ban_leaves_the_probability_of_the_others():
    # After token 3 a forbidden one has almost everything: the score of what goes on is low,
    # whereas the log probability that is told is that among the tokens that are not forbidden.
    model = PrefixModel(4, lambda prefix: [9.0 if prefix[-1] == 3 else -60, -60, 0.0, 0.1])
    (found,) = run(model, Decoding(max_tokens=2, beams=2))
    assert found.ids.tolist() == [2, 3]
    rest = -math.log1p(math.exp(0.1))
    assert found.log_probability == pytest.approx(rest + (rest + 0.1))


def test_without_a_stop_token_the_most_probable_is_found():
    model = PrefixModel(6, seed=4)
    decoding = Decoding(max_tokens=3, beams=6)
    found = run(model, decoding, rows=range(5), stop_ids=())
    expected = [slow_beam_search(model, (100 + r, START), (), (0,), decoding) for r in range(5)]
    assert values(found) == expected
    assert not any(g.finished for g in found)


def test_a_row_without_a_token_left_breaks_off():
    model = PrefixModel(4, logits=lambda prefix: [0.0, -np.inf, 2.0, 1.0])
    (found,) = run(model, Decoding(max_tokens=9, beams=2, no_repeat_ngram=1))
    assert (found.ids.tolist(), found.finished) == ([2, 3], False)
    assert model.batches == [1, 2, 2]


def test_equal_scores_prefer_the_lower_id():
    model = PrefixModel(6, logits=lambda prefix: np.zeros(6))
    (found,) = run(model, Decoding(max_tokens=3, beams=3), stop_ids=())
    assert found.ids.tolist() == [1, 1, 1]


def test_the_second_limit_ends_hypotheses_too():
    model = ending(0.1)
    (found,) = run(model, Decoding(max_tokens=50, beams=3), max_tokens=5)
    assert (found.ids.tolist(), found.finished, len(model.batches)) == ([2] * 5, False, 5)


def test_of_equal_scores_the_first_to_finish_wins():
    # All tokens are equally probable, so all hypotheses score the same.
    model = PrefixModel(3, logits=lambda prefix: np.zeros(3))
    (found,) = run(model, Decoding(max_tokens=4, beams=2))
    assert (found.ids.tolist(), found.finished, model.batches) == ([], True, [1, 1])
