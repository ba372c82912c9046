import dataclasses
import json
import re

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe import (
    CHOICES,
    OPTIONS,
    Data,
    Distill,
    Model,
    Optimizer,
    Prune,
    Quantize,
    Recipe,
)
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.registry import TASKS

USES = ", ".join(Classification.columns)
NEEDED = {"model": "bert_tiny", "train": "a.tsv", "validation": "b.tsv"}
KINDS = {
    kind: [name for name, option in OPTIONS.items() if option.kind == kind]
    for kind in (int, float, bool, str)
}
PARTS = "task, model, data, tokenizer, optimizer, training, prune, quantize, distill"
ABOVE_ZERO = ("learning_rate", "epochs", "vocab_size", "max_length", "bucket",
              "save_every")  # fmt: skip


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def recipe(task="classification", **changes):
    return Recipe.of_task(TASKS[task], **{**NEEDED, **changes})


def value_of(made, name):
    """The value of an option."""
    return getattr(getattr(made, OPTIONS[name].part), OPTIONS[name].field)


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


@pytest.mark.parametrize("name", KINDS[float])
def test_integers_beyond_floats_are_not_finite(name):
    with pytest.raises(InputError, match=f"Expected {name} to be finite, got {name}=1000"):
        recipe(**{name: 10**400})


@pytest.mark.parametrize("name", KINDS[bool])
def test_flags(name):
    with refused(f"Expected {name} to be true or false, got {name}=1."):
        recipe(**{name: 1})


@pytest.mark.parametrize("name", KINDS[str])
def test_texts(name):
    with refused(f"Expected {name} to be text, got {name}=3."):
        recipe(**{name: 3})


def test_columns():
    assert recipe().data.columns == dict(Classification.columns)
    assert recipe(text_pair="b").data.columns["text_pair"] == "b"
    made = recipe("translation", source="en", target="de")
    assert made.data.columns == {"source": "en", "target": "de"}
    assert made.replace(source="fr").data.columns == {"source": "fr", "target": "de"}
    assert recipe("language-modeling").data.columns == {}
    named = {"text": "sentence", "label": "verdict"}
    assert recipe(columns=named).data.columns == {**Classification.columns, **named}
    with refused("Expected text_pair to be text or null, got text_pair=3."):
        recipe(text_pair=3)
    with refused("Expected target to name a column of the data, got none; give target."):
        recipe("translation", source="en")
    with refused("Expected columns to be an object, got columns=[1]."):
        recipe(columns=[1])
    with refused(f"The recipe has 'source' in columns; known are {USES}."):
        recipe(columns={"source": "en"})


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
            {"tokenizer": "bytes", "vocabulary": "v.txt"},
            "Expected no vocabulary for the bytes tokenizer, got vocabulary='v.txt'.",
        ),
        (
            {"ema": 0.9, "average": 3},
            "Expected one kind of averaged weights, got ema=0.9, average=3.",
        ),
        (
            {"freeze_ranges": 1.5},
            "Expected freeze_ranges to be from 0 to 1, got freeze_ranges=1.5.",
        ),
        (
            {"percentile": 50.0},
            "Expected percentile to be above 50 and at most 100, got percentile=50.0.",
        ),
        ({"seed": 2**32}, "Expected seed to be below 2**32, got seed=4294967296."),
    ],
)
def test_contradictions(changes, message):
    with refused(message):
        recipe(**changes)


def test_options_are_flat_and_parts_are_not():
    made = recipe(settings={"dropout": 0.3}, optimizer="sgd", tokenizer="bytes", sparsity=0.5)
    assert made.model == Model(name="bert_tiny", settings={"dropout": 0.3})
    assert made.optimizer == Optimizer(name="sgd")
    assert (made.prune, made.quantize, made.distill) == (Prune(sparsity=0.5), None, None)
    assert len(OPTIONS) == sum(
        len(dataclasses.fields(kind)) for kind in {type(part) for part in vars(made).values()}
        if dataclasses.is_dataclass(kind)
    ) + len(dataclasses.fields(Quantize)) + len(dataclasses.fields(Distill))  # fmt: skip


def test_replacing_keeps_the_rest():
    before = recipe(sparsity=0.5)
    after = before.replace(clusters=8, precision="int4", epochs=3)
    assert after.prune == Prune(sparsity=0.5, clusters=8)
    assert after.quantize == Quantize(precision="int4")
    assert (after.training.epochs, before.training.epochs) == (3, 10)
    assert after.replace(prune=None, quantize=None, epochs=10) == recipe()
    assert after.replace(prune=None, clusters=4).prune == Prune(clusters=4)


def test_unknown_and_missing_options():
    known = [*(name for name in OPTIONS if name != "columns"), *Classification.columns]
    message = f"Expected the options of a recipe among {', '.join(known)}, got 'epoch'."
    with refused(message):
        recipe(epoch=3)
    with refused(message):
        recipe().replace(epoch=3)
    with refused("The recipe lacks train (data.train)."):
        Recipe.of_task(TASKS["regression"], model="bert_tiny", validation="b.tsv")
    with refused("Expected task to be text, got task=3."):
        dataclasses.replace(recipe(), task=3)
    with refused("Expected model to be Model(...), got model='bert_tiny'."):
        dataclasses.replace(recipe(), model="bert_tiny")
    with refused("Expected data to be Data(...), got data=None."):
        dataclasses.replace(recipe(), data=None)


def test_json_round_trip(tmp_path):
    written = recipe(
        settings={"dropout": 0.3}, train="données.tsv", text_pair="b", l1=1e-5, sparsity=0.5
    )
    path = tmp_path / "recipe.json"
    path.write_text(written.to_json(), encoding="utf-8")
    assert Recipe.from_file(path) == written
    assert Recipe.from_file(path, seed=3) == written.replace(seed=3)
    values = json.loads(written.to_json())
    assert ", ".join(values) == PARTS.replace("task, model", "model, task")
    assert values["prune"] == {"sparsity": 0.5, "pattern": "element", "clusters": 0}
    assert values["distill"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "Expected r.json to hold an object, got []."),
        ('{"model": {"name": "m"}}', "r.json lacks task."),
        ('{"task": "regression", "model": {}}', "r.json lacks train (data.train)."),
        (
            '{"task": "regression", "model": {"name": "m"}, "data": {"train": "t"}}',
            "r.json lacks validation (data.validation).",
        ),
        ('{"learning-rate": 1}', f"r.json has 'learning-rate'; known are {PARTS}."),
        (
            '{"task": "regression", "prune": {"heads": 1}}',
            "r.json has 'heads' in prune; known are sparsity, pattern, clusters.",
        ),
        (
            '{"task": "regression", "model": "bert_tiny"}',
            "Expected model of r.json to be an object, got 'bert_tiny'.",
        ),
        (
            '{"task": "regression", "model": null}',
            "Expected model of r.json to be an object, got None.",
        ),
        (
            '{"task": "tagging"}',
            "Expected task to be one of classification, multi-label, regression, embedding, "
            "token-classification, question-answering, masked-language-modeling, multi-task, "
            "contrastive, transcription, translation, language-modeling, got 'tagging'.",
        ),
        (
            '{"task": "regression", "data": {"columns": {"source": "en"}}}',
            f"r.json has 'source' in columns; known are {USES}.",
        ),
        (
            '{"task": "regression", "data": {"columns": 3}}',
            "Expected columns to be an object, got columns=3.",
        ),
        ("{", "Expected r.json to be JSON: Expecting property name enclosed in double quotes: "
              "line 1 column 2 (char 1)."),
    ],
)  # fmt: skip
def test_json_that_is_no_recipe(text, message):
    with refused(message):
        Recipe.from_json(text, "r.json", tasks=TASKS)


def test_file_that_is_not_text(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_bytes(b"\xff\xfe")
    with refused(f"{path} is not UTF-8 text."):
        Recipe.from_file(path)
    with pytest.raises(FileNotFoundError):
        Recipe.from_file(tmp_path / "other.json")


def defaults_of(made):
    names = ("tokenizer", "label_smoothing", "lowercase", "strip_accents", "normalization")
    return tuple(value_of(made, name) for name in names)


def test_a_task_has_defaults_of_its_own():
    assert defaults_of(recipe()) == ("auto", 0.0, True, True, "nfkc")
    translation = recipe("translation", source="en", target="de")
    assert defaults_of(translation) == ("sentencepiece", 0.1, False, False, "identity")
    assert defaults_of(recipe("language-modeling")) == ("characters", 0.0, False, False, "identity")


def test_what_is_given_counts_before_the_tasks_defaults():
    given = {"tokenizer": "bytes", "label_smoothing": 0.0, "lowercase": True}
    made = recipe("translation", source="en", target="de", **given)
    assert defaults_of(made) == ("bytes", 0.0, True, False, "identity")
    # A recipe in full says everything, so that reading it back changes nothing.
    assert Recipe.from_json(made.to_json()) == made
    assert Recipe.from_json(made.to_json(), tasks=TASKS) == made


def test_json_that_names_a_task_takes_its_defaults():
    data = {"train": "a.tsv", "validation": "b.tsv"}
    values = {"model": {"name": "bert_tiny"}, "task": "language-modeling", "data": data}
    text = json.dumps(values)
    assert Recipe.from_json(text, tasks=TASKS) == recipe("language-modeling")
    assert Recipe.from_json(text, tasks=TASKS, tokenizer="bytes").tokenizer.kind == "bytes"
    other = Recipe.from_json(text, tasks=TASKS, task="regression", text="sentence")
    assert other == recipe("regression", text="sentence")
    for alias in (Recipe.from_json(text, tasks=TASKS, task="similarity"),
                  Recipe.from_json(text.replace("language-modeling", "similarity"), tasks=TASKS)):
        assert alias == recipe("embedding") and alias.task == "embedding"


def test_a_part_checks_itself():
    with refused("Expected max_length to be above 0, got max_length=0."):
        Data(train="a", validation="b", columns={}, max_length=0)
    assert Data(train="a", validation="b", columns={}).bucket == 4


@pytest.mark.parametrize("text", ["a\0b", "caf\udce9", "\ud800"])
@pytest.mark.parametrize("name", ["train", "validation", "vocabulary", "text", "labels"])
def test_text_that_no_file_can_hold(name, text):
    given = {"model": "bert_tiny", "train": "a", "validation": "b", "text": "t", "label": "l"}
    given[name] = (text,) if name == "labels" else text
    with pytest.raises(InputError, match=f"{name}=") as raised:
        Recipe.of_task(TASKS["classification"], **given)
    assert repr(text) in str(raised.value)
