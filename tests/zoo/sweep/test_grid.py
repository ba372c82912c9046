"""Combinations of values, and the names of trials."""

import itertools

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.sweep.grid import checked, combinations, name_of

VARY = {"a": [1, 2, 3], "b": ["x", "y"], "c": [True, False]}


def test_the_last_option_changes_first():
    every = itertools.product(*VARY.values())
    expected = [dict(zip("abc", values, strict=True)) for values in every]
    assert combinations(VARY) == expected


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_drawn_combinations_are_nested_and_in_order(seed):
    every = combinations(VARY)
    drawn = [combinations(VARY, count, seed) for count in range(1, 13)]
    for count, some in enumerate(drawn, start=1):
        assert len(some) == count
        assert some == [one for one in every if one in some]
        assert all(one in some for one in drawn[max(0, count - 2)][: count - 1])
    assert drawn[-1] == every


def test_the_seed_decides():
    assert len({str(combinations(VARY, 3, seed)) for seed in range(20)}) > 10


def test_a_few_of_more_combinations_than_fit_in_a_number():
    vary = {f"o{number}": list(range(1000)) for number in range(30)}
    assert len(combinations(vary, 5)) == 5


@pytest.mark.parametrize(
    ("vary", "count", "sentence"),
    [
        (VARY, "3", "Expected trials to be an integer, got trials='3'."),
        (VARY, True, "Expected trials to be an integer, got trials=True."),
        (VARY, 13, "Expected trials to be from 1 to 12, of 12 combinations, got trials=13."),
        (VARY, 0, "got trials=0."),
        ({"a": range(101), "b": range(100)}, None, "at most 10000 combinations"),
    ],
)
def test_too_many_or_too_few(vary, count, sentence):
    with pytest.raises(InputError, match=sentence.replace(".", r"\.")):
        combinations({name: list(values) for name, values in vary.items()}, count)


def test_values_of_numpy_are_pythons():
    found = checked({"learning_rate": np.array([0.5, 0.25]), "seed": np.arange(2)})
    assert found == {"learning_rate": [0.5, 0.25], "seed": [0, 1]}
    assert [type(one) for values in found.values() for one in values] == [float] * 2 + [int] * 2


@pytest.mark.parametrize(
    ("vary", "value"),
    [
        ({}, "vary={}"), (None, "vary=None"), ({3: [0]}, "got 3"),
        ({"a": []}, "to vary a, got none"),
        ({"a": "1,2"}, "'1,2'"), ({"a": 3}, "got 3"), ({"a": [[1], [2]]}, r"got \[1\]"),
        ({"a": [None]}, "got None"), ({"a": [1, 2, 1.0]}, "got 1.0 twice"),
    ],
)  # fmt: skip
def test_values_that_are_none(vary, value):
    with pytest.raises(InputError, match=value):
        checked(vary)


def test_true_is_another_value_than_one():
    assert checked({"a": [True, 1]}) == {"a": [True, 1]}


def test_names_say_the_options():
    options = {"learning_rate": 3e-4, "dropout": 0.0, "lowercase": True, "optimizer": "adamw"}
    assert name_of(options) == "learning_rate=0.0003,dropout=0,lowercase=true,optimizer=adamw"


@pytest.mark.parametrize("value", ["a/../b", "a b", "*", "é", "x" * 300, "x.training", "a\\b"])
def test_names_are_those_of_folders(value, tmp_path):
    name = name_of({"freeze": value})
    (tmp_path / name).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(name) < 120
    assert not name.endswith(".training")


def test_odd_values_have_names_of_their_own():
    values = ["a b", "a~b", "a*b", "a/b", "x" * 200, "x" * 201]
    assert len({name_of({"freeze": value}) for value in values}) == len(values)
