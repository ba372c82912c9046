import dataclasses
import json
import re

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe import CHOICES, Recipe

NEEDED = {"model": "bert_tiny", "train": "a.tsv", "validation": "b.tsv"}
KINDS = {
    kind: [field.name for field in dataclasses.fields(Recipe) if field.type == kind]
    for kind in (int, float, bool, str)
}
ABOVE_ZERO = ("learning_rate", "epochs", "batch_tokens", "vocab_size", "max_length", "bucket",
              "save_every")  # fmt: skip


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def recipe(**changes):
    return Recipe(**{**NEEDED, **changes})


@pytest.mark.parametrize("name", KINDS[int])
@pytest.mark.parametrize("value", [1.0, "1", True, None])
def test_integers(name, value):
    with refused(f"Expected {name} to be an integer, got {name}={value!r}."):
        recipe(**{name: value})


@pytest.mark.parametrize("name", KINDS[float])
@pytest.mark.parametrize("value", ["1", True, None])
def test_numbers(name, value):
    with refused(f"Expected {name} to be a number, got {name}={value!r}."):
        recipe(**{name: value})


@pytest.mark.parametrize("name", KINDS[float])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(name, value):
    with refused(f"Expected {name} to be finite, got {name}={value}."):
        recipe(**{name: value})


@pytest.mark.parametrize("name", KINDS[bool])
def test_flags(name):
    with refused(f"Expected {name} to be true or false, got {name}=1."):
        recipe(**{name: 1})


@pytest.mark.parametrize("name", KINDS[str])
def test_texts(name):
    with refused(f"Expected {name} to be text, got {name}=3."):
        recipe(**{name: 3})


@pytest.mark.parametrize("name", ["text_pair", "source", "target"])
def test_columns_that_may_be_null(name):
    assert getattr(recipe(**{name: None}), name) is None
    with refused(f"Expected {name} to be text or null, got {name}=3."):
        recipe(**{name: 3})


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_listed(name):
    with refused(f"Expected {name} to be one of {', '.join(CHOICES[name])}, got 'other'."):
        recipe(**{name: "other"})


@pytest.mark.parametrize("name", ABOVE_ZERO)
def test_counts_are_above_zero(name):
    with refused(f"Expected {name} to be above 0, got {name}=0."):
        recipe(**{name: 0})


@pytest.mark.parametrize(
    "name", ["label_smoothing", "token_dropout", "piece_dropout", "warmup", "ema", "beta_2"]
)
@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_shares_are_below_one(name, value):
    with refused(f"Expected {name} to be from 0 to below 1, got {name}={value}."):
        recipe(**{name: value})


@pytest.mark.parametrize(
    "name", ["l1", "l2", "clip_norm", "weight_decay", "patience", "seed", "steps", "average"]
)
def test_bounds_are_not_negative(name):
    with refused(f"Expected {name} not to be negative, got {name}=-1."):
        recipe(**{name: -1})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": [1]}, "Expected settings to be an object, got settings=[1]."),
        (
            {"weight_decay": 0.1, "optimizer": "sgd"},
            "Expected weight_decay to be 0 for an optimizer other than adamw, "
            "got weight_decay=0.1, optimizer=sgd; use l2 or adamw.",
        ),
        (
            {"task": "regression", "label_smoothing": 0.1},
            "Expected label_smoothing to be 0 for regression, got label_smoothing=0.1.",
        ),
        (
            {"tokenizer": "bytes", "vocabulary": "v.txt"},
            "Expected no vocabulary for the bytes tokenizer, got vocabulary='v.txt'.",
        ),
        (
            {"task": "translation", "source": "en"},
            "Expected the columns of source and target for translation, "
            "got source='en', target=None.",
        ),
        (
            {"task": "translation", "target": "de"},
            "Expected the columns of source and target for translation, "
            "got source=None, target='de'.",
        ),
        (
            {"ema": 0.9, "average": 3},
            "Expected one kind of averaged weights, got ema=0.9, average=3.",
        ),
        ({"seed": 2**32}, "Expected seed to be below 2**32, got seed=4294967296."),
    ],
)
def test_contradictions(changes, message):
    with refused(message):
        recipe(**changes)


def test_json_round_trip(tmp_path):
    written = recipe(settings={"dropout": 0.3}, train="données.tsv", text_pair="b", l1=1e-5)
    path = tmp_path / "recipe.json"
    path.write_text(written.to_json(), encoding="utf-8")
    assert Recipe.from_file(path) == written
    assert Recipe.from_file(path, seed=3) == written.replace(seed=3)
    assert set(json.loads(written.to_json())) == {f.name for f in dataclasses.fields(Recipe)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "Expected r.json to hold an object, got []."),
        ('{"model": "m", "train": "t"}', "r.json lacks 'validation'."),
        (
            '{"learning-rate": 1}',
            f"r.json has 'learning-rate'; known are "
            f"{', '.join(f.name for f in dataclasses.fields(Recipe))}.",
        ),
        ("{", "Expected r.json to be JSON: Expecting property name enclosed in double quotes: "
              "line 1 column 2 (char 1)."),
    ],
)  # fmt: skip
def test_json_that_is_no_recipe(text, message):
    with refused(message):
        Recipe.from_json(text, "r.json")


def test_file_that_is_not_text(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_bytes(b"\xff\xfe")
    with refused(f"{path} is not UTF-8 text."):
        Recipe.from_file(path)
    with pytest.raises(FileNotFoundError):
        Recipe.from_file(tmp_path / "other.json")


def defaults_of(made):
    names = ("tokenizer", "label_smoothing", "lowercase", "strip_accents")
    return tuple(getattr(made, name) for name in names)


def test_a_task_has_defaults_of_its_own():
    sides = {"source": "en", "target": "de"}
    assert defaults_of(Recipe.of_task(**NEEDED)) == ("wordpiece", 0.0, True, True)
    assert Recipe.of_task(**NEEDED) == recipe()
    translation = Recipe.of_task(**NEEDED, task="translation", **sides)
    assert defaults_of(translation) == ("sentencepiece", 0.1, False, False)
    language = Recipe.of_task(**NEEDED, task="language-modeling")
    assert defaults_of(language) == ("characters", 0.0, False, False)


def test_what_is_given_counts_before_the_tasks_defaults():
    given = {"tokenizer": "bytes", "label_smoothing": 0.0, "lowercase": True}
    made = Recipe.of_task(**NEEDED, task="translation", source="en", target="de", **given)
    assert defaults_of(made) == ("bytes", 0.0, True, False)
    # A recipe in full says everything, so that reading it back changes nothing.
    assert Recipe.from_json(made.to_json()) == made


def test_json_that_names_a_task_takes_its_defaults():
    text = json.dumps({**NEEDED, "task": "language-modeling"})
    assert Recipe.from_json(text) == Recipe.of_task(**NEEDED, task="language-modeling")
    assert Recipe.from_json(text, tokenizer="bytes").tokenizer == "bytes"
