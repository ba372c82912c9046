"""Training that begins with published weights: its defaults and what it takes from the model."""

import json
import random

import numpy as np
import pytest

from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training.chosen.suited import suited_to_start
from keras_transformer.zoo.training.train import train
from tests.zoo import tiny
from tests.zoo.pretrained.tiny import REFERENCES

BERT = str(REFERENCES / "bert")


def write_words(folder, rows=40, words=58, length=4):
    """Tables of words that the tiny models know; the first word decides the label."""
    rng = random.Random(0)
    for name in ("train.tsv", "validation.tsv"):
        lines = ["text\tlabel"]
        for _ in range(rows):
            first = rng.randrange(2)
            rest = [f"w{rng.randrange(2, words)}" for _ in range(length - 1)]
            lines.append(f"{' '.join([f'w{first}', *rest])}\t{first}")
        (folder / name).write_text("\n".join(lines) + "\n")


def fine_tuned(folder, model=BERT, **options):
    heard = tiny.Heard()
    checkpoint = train(
        model, train=folder / "train.tsv", validation=folder / "validation.tsv",
        out=folder / "out", overwrite=True, report=heard, baseline=False, **options,
    )  # fmt: skip
    return checkpoint, heard


def test_defaults_of_a_published_start_are_said_and_recorded(tmp_path):
    write_words(tmp_path, length=7)
    trained, heard = fine_tuned(tmp_path, steps=1)
    [note] = [note for note in heard.notes if "suit" in note]
    assert note == (
        "The 40 training rows suit optimizer adamw, weight_decay 0.01, learning_rate 0.0001, "
        "warmup 0.1, max_length 12, dropout 0.1; options of yours take precedence."
    )
    saved = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert saved["optimizer"]["name"] == "adamw"
    assert saved["optimizer"]["learning_rate"] == 1e-4
    # Those of a start from nothing do not apply, and the pooling is the published model's.
    assert saved["optimizer"]["label_smoothing"] == saved["data"]["token_dropout"] == 0.0
    assert saved["model"]["settings"] == {"dropout": 0.1}
    assert trained.config.pooling == "first"


def test_options_of_the_user_stay(tmp_path):
    write_words(tmp_path)
    trained, heard = fine_tuned(
        tmp_path, epochs=1, learning_rate=1e-3, max_length=9, settings={"dropout": 0.0}
    )
    [note] = [note for note in heard.notes if "suit" in note]
    assert "learning_rate" not in note and "epochs" not in note and "dropout" not in note
    recipe = trained.recipe
    assert (recipe.training.epochs, recipe.training.patience) == (1, 2)
    assert (recipe.optimizer.learning_rate, recipe.data.max_length) == (1e-3, 9)
    assert trained.config.dropout == 0.0


@pytest.mark.slow
def test_a_recipe_of_a_fine_tuning_is_repeated_as_it_is(tmp_path):
    write_words(tmp_path)
    first, _ = fine_tuned(tmp_path, epochs=1, freeze="embeddings")
    heard = tiny.Heard()
    again = train(Recipe.from_file(tmp_path / "out" / "recipe.json"), report=heard, baseline=False)
    assert again.recipe == first.recipe
    assert not [note for note in heard.notes if "suit" in note]


class Trained:
    """Trained weights as far as their size, length and origin decide defaults."""

    max_length = 64

    def __init__(self, parameters, from_nothing):
        self.parameters = parameters
        self.from_nothing = from_nothing
        self.config = tiny.config("decoder")


@pytest.mark.parametrize(
    ("parameters", "from_nothing", "rows", "rate", "epochs"),
    [
        (22e6, False, 3668, 1e-4, 10), (22e6, False, 15_000, 1e-4, 7),
        (110e6, False, 67_349, 5e-5, 3), (4e8, False, 9e5, 2e-5, 3),
        (22e6, True, 3668, 1e-3, 10), (110e6, True, 3668, 5e-5, 10),
    ],
)  # fmt: skip
def test_rates_follow_the_size_and_epochs_the_rows(
    tmp_path, parameters, from_nothing, rows, rate, epochs
):
    recipe = suited_to_start(
        tiny.recipe(tmp_path), Trained(parameters, from_nothing), tiny.TASK, np.zeros(int(rows)),
        (), tiny.Heard(),
    )  # fmt: skip
    assert (recipe.optimizer.learning_rate, recipe.training.epochs) == (rate, epochs)
    assert (recipe.optimizer.warmup, recipe.training.patience) == (0.1, 2)
