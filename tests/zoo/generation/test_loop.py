"""The generation loop: greedy and streamed tokens, batches, stops, limits, errors."""

import math

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.generation.decoding import Decoding
from keras_transformer.zoo.generation.loop import generate
from tests.zoo.generation.prefix_model import (
    END,
    START,
    PrefixModel,
    log_softmax,
    penalized,
    permitted,
    run,
    values,
)


def slow_greedy(model, row, decoding, *, stops=(END,), forbidden=(START,), prompt=()):
    ids, own = [], 0.0
    while len(ids) < decoding.max_tokens:
        seen = [*prompt, START, *ids]
        logits = permitted(model, (100 + row, START, *ids), forbidden)
        plain = log_softmax(logits)
        logits = penalized(logits, set(seen) - set(stops), decoding.repetition_penalty)
        n = decoding.no_repeat_ngram
        logits = {
            token: value
            for token, value in logits.items()
            # The prompt itself may hold repeated runs: only the last one counts.
            if token in stops
            or not n
            or len(seen) + 1 < n
            or tuple([*seen, token][-n:]) not in {tuple(seen[i : i + n]) for i in range(len(seen))}
        }
        if not logits:
            return ids, own, False
        token = max(logits, key=logits.get)
        own += plain[token]
        if token in stops:
            return ids, own, True
        ids.append(token)
    return ids, own, False


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"repetition_penalty": 2.0},
        {"repetition_penalty": 0.5, "no_repeat_ngram": 2},
        {"no_repeat_ngram": 1},
        {"no_repeat_ngram": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("stops", [(END,), (END, 4), ()])
def test_greedy_is_the_most_probable_token_of_each_step(changes, stops):
    model = PrefixModel(6)
    decoding = Decoding(max_tokens=12, **changes)
    rows = range(10)
    prompts = [np.arange(row % 4) + 2 for row in rows]
    found = run(model, decoding, rows=rows, stop_ids=stops, prompts=prompts)
    assert values(found) == [
        slow_greedy(model, row, decoding, stops=stops, prompt=prompts[row].tolist()) for row in rows
    ]
    assert all(g.ids.dtype == np.int32 for g in found)


def test_rows_that_are_finished_leave_the_batch():
    model = PrefixModel(6, seed=3)
    rows = range(40)
    found = run(model, Decoding(max_tokens=9), rows=rows)
    # The step that chooses the stop token is the row's last.
    lengths = np.array([len(g.ids) + g.finished for g in found])
    assert model.batches == [(lengths > step).sum() for step in range(lengths.max())]
    assert {True, False} == {g.finished for g in found}
    assert max(lengths) == 9


def test_a_batch_is_its_rows():
    model = PrefixModel(6, seed=3)
    decoding = Decoding(max_tokens=9, repetition_penalty=1.3)
    batch = run(model, decoding, rows=range(8))
    assert values(batch) == [values(run(model, decoding, rows=(row,)))[0] for row in range(8)]


def test_an_empty_batch_takes_no_step():
    model = PrefixModel(6)
    assert run(model, Decoding(), rows=()) == []
    assert model.batches == []


def test_each_stop_token_ends_a_row_and_is_not_part_of_it():
    # Row r chooses 5, then its own end.
    model = PrefixModel(6, logits=lambda prefix: np.eye(6)[5 if len(prefix) == 2 else prefix[0]])
    cache, tokens = [(1,), (2,), (3,)], np.zeros(3, np.int64)
    found = generate(model, cache, tokens, Decoding(max_tokens=3), stop_ids={1, 2})
    assert [(g.ids.tolist(), g.finished) for g in found] == [
        ([5], True),
        ([5], True),
        ([5, 3, 3], False),
    ]
    assert model.batches == [3, 3, 1]


def test_log_probabilities_are_the_models_own():
    logits = np.float32([9, 1, 3, 2])
    model = PrefixModel(4, logits=lambda prefix: logits)
    decoding = Decoding(max_tokens=3, repetition_penalty=100.0)
    (found,) = run(model, decoding)
    assert (found.ids.tolist(), found.finished) == ([2, 3], True)
    # Token 0 is forbidden: the others share its probability.
    expected = 6 - 3 * math.log(math.exp(1) + math.exp(3) + math.exp(2))
    # Exponentials are taken in float32.
    assert found.log_probability == pytest.approx(expected, rel=1e-6)


def test_the_smaller_of_two_limits_holds():
    model = PrefixModel(4, logits=lambda prefix: [0, 0, 1, 0])
    lengths = [
        len(run(model, Decoding(max_tokens=own), max_tokens=given)[0].ids)
        for own, given in [(5, None), (5, 3), (3, 5)]
    ]
    assert lengths == [5, 3, 3]
    assert model.batches == [1] * 11


def test_stop_tokens_are_spared_by_repetition_control():
    model = PrefixModel(4, logits=lambda prefix: [0, 2, 1, 1])
    decoding = Decoding(max_tokens=3, repetition_penalty=10.0, no_repeat_ngram=1)
    (found,) = run(model, decoding, prompts=[np.array([END, 2])])
    assert (found.ids.tolist(), found.finished) == ([], True)


def test_a_row_without_a_token_left_breaks_off_alone():
    def logits(prefix):
        return [0, -np.inf, 2, 1] if prefix[0] == 100 else [0, 5 * (len(prefix) - 4), 2, 1]

    model = PrefixModel(4, logits=logits)
    found = run(model, Decoding(max_tokens=9, no_repeat_ngram=1), rows=(0, 1))
    assert [(g.ids.tolist(), g.finished) for g in found] == [([2, 3], False), ([2, 3], True)]
    assert found[0].log_probability == pytest.approx(1 - 2 * math.log(math.e + 1))
    found = run(model, Decoding(max_tokens=9, no_repeat_ngram=1, temperature=1.0), rows=(0,))
    assert sorted(found[0].ids.tolist()) == [2, 3]


def test_tokens_are_streamed_as_they_are_chosen():
    model = PrefixModel(6, seed=3)
    streamed = []
    found = run(
        model,
        Decoding(max_tokens=9),
        rows=range(5),
        on_token=lambda row, token: streamed.append((len(model.batches), row, token)),
    )
    assert streamed == [
        (step + 1, row, int(g.ids[step]))
        for step in range(9)
        for row, g in enumerate(found)
        if step < len(g.ids)
    ]
    assert {type(token) for _, _, token in streamed} == {int}


@pytest.mark.parametrize(
    ("decoding", "options", "message"),
    [
        ({"beams": 9}, {}, "Expected beams to be at most the vocabulary's 7, got beams=9."),
        (
            {"beams": 2},
            {"on_token": print},
            "Expected beams to be 1 where tokens are streamed, got beams=2.",
        ),
        ({}, {"stop_ids": (1, 7)}, "Expected stop_ids to be ids of a vocabulary of 7, got 7."),
        (
            {},
            {"forbidden_ids": (-1, 2)},
            "Expected forbidden_ids to be ids of a vocabulary of 7, got -1.",
        ),
        (
            {},
            {"forbidden_ids": (0, 1)},
            "Expected stop_ids and forbidden_ids to share no token, got 1 in both.",
        ),
        (
            {},
            {"forbidden_ids": range(7), "stop_ids": ()},
            "Expected forbidden_ids to leave a token of the vocabulary, got all 7.",
        ),
        (
            {},
            {"max_tokens": 0},
            "Expected max_tokens to be an integer of at least 1, got max_tokens=0.",
        ),
        (
            {},
            {"prompts": []},
            "Expected a prompt for each of 1 tokens, got 0 prompts.",
        ),
        (
            {},
            {"prompts": [np.array([1, 9])]},
            "Expected prompts to be ids of a vocabulary of 7, got 9.",
        ),
    ],
)
def test_arguments_that_do_not_fit(decoding, options, message):
    model = PrefixModel(7)
    with pytest.raises(InputError) as raised:
        run(model, Decoding(**decoding), **options)
    assert str(raised.value) == message
    assert model.batches == []


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[1]], "Expected tokens of shape (B,), got shape (1, 1)."),
        ([7], "Expected tokens to be ids of a vocabulary of 7, got 7."),
    ],
)
def test_first_tokens_that_do_not_fit(tokens, message):
    with pytest.raises(InputError) as raised:
        generate(PrefixModel(7), [()], np.array(tokens), Decoding(), stop_ids=(1,))
    assert str(raised.value) == message


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize(
    ("logits", "value"),
    [([0, 1, np.nan], "nan"), ([0, 1, np.inf], "inf"), ([0, -np.inf, -np.inf], "-inf")],
)
def test_a_model_gone_wrong(logits, value, beams):
    model = PrefixModel(3, logits=lambda prefix: logits)
    with pytest.raises(RunError) as raised:
        run(model, Decoding(beams=beams))
    assert str(raised.value) == (
        f"Expected a finite number as the model's highest logit, got {value}."
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"beams": 2},
        {"temperature": 1.0},
        {"repetition_penalty": 2.0},
        {"no_repeat_ngram": 1},
        {"on_token": lambda row, token: None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_all_but_plain_greedy_choice_goes_step_by_step(changes):
    class Loop(PrefixModel):
        def greedy(self, *arguments):
            raise AssertionError

    options = {name: changes[name] for name in changes.keys() & {"on_token"}}
    decoding = Decoding(max_tokens=3, **{k: v for k, v in changes.items() if k != "on_token"})
    expected = run(PrefixModel(6), decoding, **options)
    found = run(Loop(6), decoding, **options)
    assert [one.ids.tolist() for one in found] == [one.ids.tolist() for one in expected]
    with pytest.raises(AssertionError):
        run(Loop(6), Decoding(max_tokens=3))
