"""Defaults that follow from the training rows, and what takes precedence over them."""

import json

import numpy as np
import pytest

from keras_transformer.zoo.recipe import OPTIONS, Recipe
from keras_transformer.zoo.suited.texts import suited_to
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.training.train import train
from tests.zoo import tiny


def texts_of(rows, words, length=5, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{one}" for one in rng.integers(words, size=length)) for _ in range(rows)]


@pytest.mark.slow
def test_few_texts_are_read_more_often_and_with_more_noise():
    few, many = suited_to(texts_of(5000, 400), None), suited_to(texts_of(120_000, 400, 1), None)
    assert (few["epochs"], many["epochs"]) == (50, 8)
    # 25 words are 35 pieces, and three special tokens.
    assert suited_to(texts_of(5000, 400, 25), None)["epochs"] == 22
    assert suited_to(texts_of(400_000, 400, 5, 1), None)["epochs"] == 3
    assert suited_to(["a b"] * 10, None)["epochs"] == 50
    assert (few["model"], many["model"]) == ("bert_tiny", "bert_mini")
    assert (few["token_dropout"], few["settings"]["dropout"]) == (0.1, 0.2)
    assert (many["token_dropout"], many["settings"]["dropout"]) == (0.0, 0.1)


@pytest.mark.parametrize(("words", "pieces"), [(10, 1000), (6000, 3000), (100_000, 16_000)])
def test_the_vocabulary_is_of_half_the_words(words, pieces):
    texts = texts_of(20_000, words, 5)
    distinct = len({word for text in texts for word in text.split()})
    found = suited_to(texts, None)["vocab_size"]
    assert found % 100 == 0
    assert found == pieces or abs(found - distinct / 2) < 100


def test_texts_are_cut_only_where_one_in_a_hundred_is_longer():
    texts = ["a"] * 200 + ["a " * 30] * 20
    # 30 words are 42 pieces, and three special tokens.
    assert suited_to(texts, None)["max_length"] == 48
    assert suited_to(["a"] * 998 + ["a " * 500] * 2, None)["max_length"] == 16
    assert suited_to(["a " * 500], None)["max_length"] == 128
    assert suited_to(["a"], ["a " * 29])["max_length"] == 48


def run(folder, **options):
    tiny.write_tables(folder)
    heard = tiny.Heard()
    given = {"settings": tiny.SETTINGS, "steps": 2, **options}
    checkpoint = train(
        "bert_tiny", train=folder / "train.tsv", validation=folder / "validation.tsv",
        out=folder / "out", overwrite=True, report=heard, **given,
    )  # fmt: skip
    return checkpoint, [note for note in heard.notes if "suit" in note]


def test_what_was_chosen_is_said_and_stands_in_the_recipe(tmp_path):
    checkpoint, notes = run(tmp_path)
    assert notes == [
        "The 96 training rows suit optimizer adamw, weight_decay 0.05, learning_rate 0.002, "
        "token_dropout 0.1, label_smoothing 0.1, vocab_size 1000, max_length 16, pooling max, "
        "dropout 0.2; options of yours take precedence."
    ]  # fmt: skip
    assert checkpoint.config.pooling == "max"
    saved = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert saved["model"]["settings"] == {**tiny.SETTINGS, "pooling": "max", "dropout": 0.2}
    assert saved["optimizer"]["learning_rate"] == 0.002
    assert saved["data"]["max_length"] == 16
    # As often as without --steps, but those decide.
    assert saved["training"]["epochs"] == OPTIONS["epochs"].default


def test_options_of_the_user_stay(tmp_path):
    settings = {**tiny.SETTINGS, "dropout": 0.0}
    checkpoint, [note] = run(
        tmp_path, settings=settings, learning_rate=0.01, token_dropout=0.0, max_length=20
    )
    assert "learning_rate" not in note
    assert (checkpoint.config.dropout, checkpoint.config.pooling) == (0.0, "max")
    recipe = checkpoint.recipe
    assert (recipe.optimizer.learning_rate, recipe.data.max_length) == (0.01, 20)
    assert recipe.data.token_dropout == 0.0
    assert recipe.optimizer.label_smoothing == 0.1


def test_a_chosen_optimizer_has_no_decay_of_another(tmp_path):
    checkpoint, [note] = run(tmp_path, optimizer="adam")
    optimizer = checkpoint.recipe.optimizer
    assert (optimizer.name, optimizer.weight_decay) == ("adam", 0.0)
    assert "weight_decay" not in note


@pytest.mark.parametrize(
    ("task", "name"),
    [("classification", "bert_tiny"), ("regression", "bert_tiny"), ("embedding", "bert_tiny"),
     ("translation", "transformer_tiny"), ("language-modeling", "gpt_tiny")],
)  # fmt: skip
def test_each_task_has_a_model_by_default(task, name):
    columns = {use: "c" for use, column in TASKS[task].columns.items() if column == ""}
    recipe = Recipe.of_task(TASKS[task], train="t", validation="v", **columns)
    assert recipe.model.name == name


def test_the_model_is_said_where_the_user_named_none(tmp_path):
    tiny.write_tables(tmp_path)
    heard = tiny.Heard()
    settings = {**tiny.SETTINGS, "hidden_dim": 16}
    checkpoint = train(
        train=tmp_path / "train.tsv", validation=tmp_path / "validation.tsv", steps=2,
        settings=settings, report=heard,
    )  # fmt: skip
    assert checkpoint.recipe.model.name == "bert_tiny"
    [note] = [note for note in heard.notes if "suit" in note]
    assert note.startswith("The 96 training rows suit model bert_tiny, optimizer adamw")


@pytest.mark.slow
def test_a_recipe_is_repeated_as_it_is(tmp_path):
    first, _ = run(tmp_path, label_smoothing=0.0)
    recipe = Recipe.from_file(tmp_path / "out" / "recipe.json")
    heard = tiny.Heard()
    again = train(recipe, report=heard)
    assert again.recipe == first.recipe
    assert not [note for note in heard.notes if "suit" in note]


@pytest.mark.slow
def test_other_tokenizers_keep_their_lengths(tmp_path):
    checkpoint, [note] = run(tmp_path, tokenizer="bytes")
    assert "max_length" not in note
    assert checkpoint.recipe.data.max_length == OPTIONS["max_length"].default
