"""Models, tables and recipes so small that a test trains one in a second."""

import random
from pathlib import Path

import keras
import numpy as np

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.models.build import build, get_weights
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.training.fit import Fit

SETTINGS = {"num_layers": 1, "hidden_dim": 16, "intermediate_dim": 32, "num_heads": 2}
TASK = Classification(labels=("no", "yes"))
FILLERS = ("the", "box", "holds", "some", "old", "and", "new", "things", "of", "ours")
KEYWORDS = {"métal": ("iron", "zinc", "tin"), "fruit": ("apple", "pear", "plum")}


def config(architecture="encoder", **changes):
    values = dict(
        SETTINGS, architecture=architecture, vocab_size=20, max_length=12, num_segments=2
    )
    return TransformerConfig(**{**values, **changes})


def sentence(rng, keyword):
    words = rng.choices(FILLERS, k=rng.randint(1, 7))
    words.insert(rng.randint(0, len(words)), keyword)
    return " ".join(words)


def write_tables(folder: Path, seed=0) -> None:
    """Writes a training and a validation table; a keyword in the text decides each column.

    Columns: `text` and `label`; `second`, a text that says the label `twin`; `number`, the
    keyword's place among all of them.
    """
    rng = random.Random(seed)
    everything = [(label, word) for label, words in KEYWORDS.items() for word in words]
    for name, count in (("train.tsv", 96), ("validation.tsv", 48)):
        lines = ["text\tlabel\tsecond\ttwin\tnumber"]
        for _ in range(count):
            label, word = rng.choice(everything)
            twin, second = rng.choice(everything)
            number = everything.index((label, word))
            lines.append(
                f"{sentence(rng, word)}\t{label}\t{sentence(rng, second)}\t{twin}\t{number}"
            )
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_pairs(folder: Path, seed=0) -> None:
    """Writes tables of sources `en` and targets `de`: the same words backwards, in capitals."""
    rng = random.Random(seed)
    for name, count in (("pairs.tsv", 60), ("pairs_validation.tsv", 8)):
        lines = ["en\tde"]
        for _ in range(count):
            words = rng.choices(FILLERS, k=rng.randint(1, 4))
            lines.append(f"{' '.join(words)}\t{' '.join(words[::-1]).upper()}")
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_texts(folder: Path, seed=0) -> None:
    """Writes plain text of lines of words."""
    rng = random.Random(seed)
    for name, count in (("text.txt", 80), ("text_validation.txt", 20)):
        lines = (" ".join(rng.choices(FILLERS, k=rng.randint(1, 6))) for _ in range(count))
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_data(folder: Path) -> None:
    """Writes training and validation data for each kind of task."""
    write_tables(folder)
    write_pairs(folder)
    write_texts(folder)


def translation_recipe(folder: Path, **changes) -> Recipe:
    values = {
        "model": "transformer_tiny", "source": "en", "target": "de",
        "train": str(folder / "pairs.tsv"), "validation": str(folder / "pairs_validation.tsv"),
        "tokenizer": "wordpiece", "vocab_size": 120, "batch_tokens": 64, "bucket": 4,
        "settings": SETTINGS, "max_length": 16, "learning_rate": 0.01, "epochs": 2,
    }  # fmt: skip
    return Recipe.of_task(TASKS["translation"], **{**values, **changes})


def language_recipe(folder: Path, **changes) -> Recipe:
    values = {
        "model": "gpt_nano", "settings": SETTINGS,
        "train": str(folder / "text.txt"), "validation": str(folder / "text_validation.txt"),
        "max_length": 16, "batch_tokens": 256, "learning_rate": 0.01, "epochs": 2,
    }  # fmt: skip
    return Recipe.of_task(TASKS["language-modeling"], **{**values, **changes})


def recipe(folder: Path, **changes) -> Recipe:
    values = {
        "model": "bert_tiny", "settings": SETTINGS, "train": str(folder / "train.tsv"),
        "validation": str(folder / "validation.tsv"), "vocab_size": 80, "max_length": 16,
        "batch_tokens": 96, "bucket": 16, "learning_rate": 0.01, "epochs": 2,
    }  # fmt: skip
    task = TASKS[changes.pop("task", "classification")]
    return Recipe.of_task(task, **{**values, **changes})


def encoded(rows=48, seed=0):
    """Columns of ids 5 to 19, and targets that say whether id 5 is among a row's."""
    rng = np.random.default_rng(seed)
    ids = [rng.integers(6, 20, rng.integers(3, 11)).astype("int32") for _ in range(rows)]
    targets = np.arange(rows, dtype="int32") % 2
    for row in np.flatnonzero(targets):
        ids[row][1] = 5
    return {"ids": ids}, targets


def fit(the_recipe, *, scores=(), seen=None, model_changes=None, data_seed=0, **kwargs) -> Fit:
    """A run on `encoded` whose validation accuracies are given; without, they rise.

    The weights that were validated are added to the list `seen`.
    """
    keras.utils.set_random_seed(the_recipe.training.seed)
    model = build(config(**(model_changes or {})), TASK, dtype=the_recipe.training.dtype)
    columns, targets = encoded(seed=data_seed)
    batches = Batches(
        columns, targets, batch_tokens=the_recipe.data.batch_tokens,
        bucket=the_recipe.data.bucket, seed=the_recipe.training.seed,
    )  # fmt: skip
    given = iter(scores or np.linspace(0.1, 1.0, the_recipe.training.epochs).tolist())

    def validate(model):
        if seen is not None:
            seen.append(get_weights(model))
        return {"accuracy": next(given)}

    return Fit(model, TASK, the_recipe, batches, validate, **kwargs)


def without_gradients(run, value=1.0):
    """Makes each step add `value` to the head's bias, and returns the list of the steps' ids.

    The first are those of the steps that a run takes back.
    """
    bias = run.model.get_layer("head").bias
    seen = []

    def train_step(inputs, targets):
        seen.append(inputs["ids"])
        bias.assign(bias + value)
        return 0.5

    run.train_step = train_step
    return seen


def fit_by_hand(*args, **kwargs) -> Fit:
    """A run of `fit` without gradients, which are most of the seconds that it takes."""
    run = fit(*args, **kwargs)
    without_gradients(run)
    return run


class Heard(Report):
    """Remembers what it heard."""

    def __init__(self):
        self.starts, self.steps, self.epochs, self.notes = [], [], [], []

    def start(self, title, total_steps):
        self.starts.append((title, total_steps))

    def step(self, step, loss):
        self.steps.append((step, loss))

    def epoch(self, epoch, loss, metrics, is_best):
        self.epochs.append((epoch, loss, metrics, is_best))

    def note(self, text):
        self.notes.append(text)


def assert_same_weights(actual, expected):
    """The same bits under the same paths."""
    assert set(actual) == set(expected)
    for path, value in expected.items():
        np.testing.assert_array_equal(actual[path], value, err_msg=path)
