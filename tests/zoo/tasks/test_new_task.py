"""A new task is one file and one entry of the table; here, it counts the words of a text."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
from keras import ops

from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.data.labels import numbers
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.tasks.labelled import LabelledTask
from keras_transformer.zoo.tasks.measure import evaluate
from keras_transformer.zoo.tasks.registry import TASKS, task_of
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny


@dataclasses.dataclass(frozen=True, kw_only=True)
class CountWords(LabelledTask):
    """How many words a text has: a number above 0, by Poisson regression; -1 is not counted."""

    name: ClassVar[str] = "count-words"
    output: ClassVar[str] = "number"
    metric: ClassVar[Metric] = Metric(name="mean_absolute_error", points=-1.0)
    selection: ClassVar[Metric] = metric
    defaults: ClassVar[dict] = {"learning_rate": 0.02}

    def head(self):
        return Head(units=1, pair=self.pair)

    def loss(self, label_smoothing=0.0):
        def poisson(targets, outputs):
            targets = ops.cast(ops.reshape(targets, (-1, 1)), "float32")
            real = ops.cast(ops.not_equal(targets, NO_TARGET), "float32")
            return ops.sum(real * (ops.exp(outputs) - targets * outputs)) / ops.sum(real)

        return poisson

    def targets(self, table, label):
        return numbers(table, label), ()

    def metrics(self, targets, scores):
        real = targets != NO_TARGET
        errors = np.abs(np.exp(scores[:, 0]) - targets)[real]
        return {"mean_absolute_error": float(errors.mean())}

    def output_difference(self, targets, expected, outputs, temperature):
        return ops.mean(ops.square(outputs - expected))


@pytest.fixture
def tables(tmp_path):
    rng = np.random.default_rng(0)
    for name, rows in (("train", 200), ("validation", 40)):
        lines = ["text\tlabel"]
        for count in rng.integers(1, 8, rows):
            lines.append(f"{' '.join(rng.choice(list(tiny.FILLERS), count))}\t{count}")
        (tmp_path / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_it_trains_evaluates_converts_and_runs(tables, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "count-words", CountWords)
    recipe = tiny.recipe(
        tables, task="count-words", epochs=12,
        settings={**tiny.SETTINGS, "pooling": "max", "dropout": 0.0, "attention_dropout": 0.0},
    )  # fmt: skip
    made = train_recipe(recipe, tmp_path / "out")
    assert made.metrics["validation"]["mean_absolute_error"] < 1.0
    loaded = Checkpoint.load(tmp_path / "out")
    assert loaded.task == CountWords()
    found = evaluate(loaded, tables / "validation.tsv")
    found |= {"unknown_tokens": 0.0, "rows_with_unknown_tokens": 0.0}
    assert found == {"rows": 40, "truncated": 0, **made.metrics["validation"]}

    path = tmp_path / "count.tflite"
    path.write_bytes(bytes(convert(loaded, "float32")))
    runner = Runner(path)
    assert task_of(runner) == CountWords()
    on_device = evaluate(runner, tables / "validation.tsv")
    assert on_device == pytest.approx(found, rel=1e-4)
    words = runner.predict(["the box", "the old box holds some new things"])
    assert words[0].score < words[1].score
    assert words[0].label is None
