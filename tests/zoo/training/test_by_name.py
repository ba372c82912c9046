"""Training by name: what of a call becomes a recipe, and where its data come from."""

import io
import re
import sys

import numpy as np
import pytest

from keras_transformer.edge.choose.sensitivity import sensitivity
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.progress import Printed, Report, default_report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.regression import Regression
from keras_transformer.zoo.tasks.translation import Translation
from keras_transformer.zoo.training import train as by_name
from keras_transformer.zoo.training.train import train
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny

OPTIONS = {"settings": tiny.SETTINGS, "vocab_size": 80, "max_length": 16, "epochs": 1}
ROWS = ([f"the {word}" for word in tiny.FILLERS] * 8, ["fruit", "métal"] * 40)


def recipe_of(monkeypatch, *args, **options):
    """The recipe of a call, and the data in memory that are beside it."""
    calls = []
    monkeypatch.setattr(by_name, "train_recipe", lambda *args, **given: calls.append((args, given)))
    train(*args, **options)
    [((recipe, out), given)] = calls
    return recipe, {name: given[name] for name in ("train", "validation") if name in given}


def test_a_file_makes_the_recipe_of_its_options(monkeypatch):
    paths = {"train": "a.tsv", "validation": "b.tsv"}
    expected = Recipe.of_task(Classification, model="bert_tiny", **paths, epochs=3, text="body")
    for task in (None, "classification", Classification()):
        found = recipe_of(monkeypatch, "bert_tiny", task, **paths, epochs=3, text="body")
        assert found == (expected, {})


def test_a_task_says_its_columns_and_labels(monkeypatch):
    def data(task, model="bert_tiny", **options):
        return recipe_of(monkeypatch, model, task, train=ROWS, validation=0.25, **options)[0].data

    found = data(Classification(labels=("yes", "no"), pair=True), seed=7)
    assert (found.labels, found.columns["text_pair"]) == (("yes", "no"), "text_pair")
    assert (found.train, found.validation, found.validation_share) == ("", "", 0.25)
    assert (found.split_seed, data(Regression(), split_seed=3, seed=7).split_seed) == (7, 3)
    found = data(Translation(labels=("de", "fr")), "transformer_tiny")
    assert found.columns == {"source": "source", "target": "de,fr"}
    rows = {"train": ROWS, "validation": iter(())}
    assert recipe_of(monkeypatch, "bert_tiny", **rows)[1] == rows


@pytest.mark.slow
def test_a_config_and_a_recipe_in_place_of_a_name(tables):
    config = tiny.config(vocab_size=50)
    files = {"train": tables / "train.tsv", "validation": str(tables / "validation.tsv")}
    made = train(config, **files, epochs=1, settings={"dropout": 0.0})
    assert made.config == config.replace(dropout=0.0, vocab_size=made.tokenizer.vocab_size)
    assert (made.recipe.tokenizer.vocab_size, made.max_length) == (50, 12)
    assert Recipe.from_json(made.recipe.to_json()) == made.recipe
    again = train_recipe(made.recipe)
    tiny.assert_same_weights(get_weights(again.model), get_weights(made.model))
    other = train(made.recipe, epochs=2, settings={"dropout": 0.2})
    assert (other.config.dropout, other.recipe.training.epochs) == (0.2, 2)
    with pytest.raises(TypeError, match="^Expected no task beside a recipe, .* got task='regress"):
        train(made.recipe, "regression")
    with pytest.raises(InputError, match="^Expected a model config with exactly "):
        train(made.recipe.replace(settings={"hidden_dim": 8}))
    assert isinstance(config, TransformerConfig)


@pytest.mark.slow
def test_a_share_of_a_file_is_the_same_for_all_that_follows(tables, tmp_path):
    made = train(
        "bert_tiny", train=tables / "train.tsv", validation=0.25, out=tmp_path / "out", **OPTIONS
    )
    assert (made.rows, made.recipe.data.validation_share) == ({}, 0.25)
    assert 20 <= sum(one["rows"] for one in made.metrics["validation"]["per_class"].values()) <= 28
    int8 = quantize(Checkpoint.load(tmp_path / "out"), epochs=1, seed=5)
    assert int8.recipe.data == made.recipe.data
    int8 = quantize(made, epochs=1, validation=tables / "validation.tsv")
    assert int8.recipe.data.validation_share == 0.0


@pytest.mark.slow
def test_rows_are_handed_on_and_replaced(tables):
    made = train("bert_tiny", train=ROWS, validation=0.25, **OPTIONS)
    assert [len(made.rows[name]) for name in ("train", "validation")] == [60, 20]
    held_out = made.rows["validation"].texts
    again = quantize(made, epochs=1, train=ROWS)
    # The same share of the same rows, not one of those that were left.
    assert [len(again.rows[name]) for name in ("train", "validation")] == [60, 20]
    assert again.rows["validation"].texts == held_out
    assert again.recipe.data.digest == made.recipe.data.digest
    other = quantize(made, epochs=1, train=tables / "train.tsv", validation=ROWS)
    assert (list(other.rows), other.recipe.data.train) == (["validation"], f"{tables}/train.tsv")
    with pytest.raises(TypeError, match="^Expected changes to the recipe among .*, got epoch=2.$"):
        quantize(made, epoch=2)
    found = sensitivity(made, (row for row in zip(*ROWS, strict=True)))
    assert (found.data, len(found.costs) > 2) == ("data", True)


def test_validation_is_a_file_or_a_share():
    message = (
        "Expected validation to be a file or a share of the training data, got "
        "validation=b.tsv, validation_share=0.5."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Recipe.of_task(
            Classification, model="bert_tiny", train="a", validation="b.tsv", validation_share=0.5
        )


def test_progress_is_shown_to_people(monkeypatch):
    monkeypatch.delattr(sys, "ps1", raising=False)
    assert type(default_report()) is Report
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    assert type(default_report()) is Printed
    file = io.StringIO()
    report = Printed(file)
    report.start("train", 20)
    report.step(1, np.float32(0.5))
    report.step(2, 0.4)
    report.epoch(1, 0.25, {"accuracy": 0.75}, True)
    report.note("Cut.")
    shown = "train 1/20, loss 0.5000"
    assert file.getvalue() == (
        f"{shown}\r{' ' * len(shown)}\rEpoch 1: loss 0.2500, validation accuracy 0.7500, the best "
        "so far\nNote: Cut.\n"
    )
