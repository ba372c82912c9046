"""Differences of whole models; the tests themselves are in zoo/evaluation/test_significance.py."""

import dataclasses

import numpy as np
import pytest

from keras_transformer.edge.compare.significance import significance
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.significance import mcnemar, paired_interval
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.outputs import Outputs
from keras_transformer.zoo.predictor import Predictor
from keras_transformer.zoo.tasks.embedding import Embedding
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.tasks.regression import Regression
from keras_transformer.zoo.tasks.translation import Translation


class Told(Predictor):
    """A model whose answers are given."""

    def __init__(self, task, outputs=None, texts=None):
        self.task, self.told, self.texts = task, outputs, texts
        self.task_name, self.output_kind, self.labels = task.name, task.output, task.labels
        self.pair, self.precision = task.pair, "float32"
        self.columns = task.named_columns(None)

    def outputs(self, rows, pairs=None):
        return Outputs(self.told, [False] * len(rows))

    def generate(self, texts, **options):
        return self.texts


def numbers_of(targets, noise, seed):
    return (targets + np.random.default_rng(seed).normal(0, noise, len(targets)))[:, None]


@pytest.fixture(scope="module")
def untrained(runs):
    """A model of another shape, which guesses."""
    config = runs.trained.config.replace(num_layers=1)
    return dataclasses.replace(runs.trained, config=config, model=build(config, runs.trained.task))


def test_a_checkpoint_a_file_and_a_guess(runs, files, untrained):
    models = [runs.trained, files["float32"], untrained]
    found = significance(models, runs.folder / "validation.tsv", sample_seed=3)
    same, guess = found
    assert (found.first, same.model, guess.model) == ("model 1", str(files["float32"]), "model 3")
    assert (same.difference, same.interval, same.is_beyond_chance) == (0.0, (0.0, 0.0), False)
    assert (same.mcnemar.first, same.mcnemar.second, same.mcnemar.p_value) == (0, 0, 1.0)
    answers = [runs.trained.task.answers(one, runs.examples) for one in (runs.trained, untrained)]
    assert guess.first_value == runs.value_of(runs.trained)
    assert guess.value == runs.value_of(untrained) < guess.first_value
    assert guess.difference == guess.value - guess.first_value
    assert guess.interval == paired_interval(*answers, 90, seed=3)
    assert guess.mcnemar == mcnemar(*(one.right for one in answers))
    assert guess.interval[1] < 0 and guess.is_beyond_chance and guess.mcnemar.p_value < 1e-6
    lines = repr(found).splitlines()
    assert lines[0] == "90 rows; paired bootstrap of 1000 samples, seed 3"
    assert lines[-1].split()[-4] == "yes"
    assert list(guess.to_json()) == [
        "model", "metric", "value", "first_value", "difference", "interval", "mcnemar",
        "is_beyond_chance",
    ]  # fmt: skip


def test_numbers_and_vectors():
    """The deciding metric of drawn rows is the task's own."""
    targets = np.random.default_rng(0).normal(size=60)
    texts = [f"row {row}" for row in range(60)]
    models = [Told(Regression(), numbers_of(targets, noise, 1))
              for noise in (0.2, 3.0)]  # fmt: skip
    [found] = significance(models, (texts, targets.tolist()), samples=100)
    assert (found.metric, found.mcnemar) == ("pearson", None)
    expected = Regression().metrics(targets, models[1].told)["pearson"]
    assert found.value == pytest.approx(expected, rel=1e-6)  # targets are read as float32
    assert found.interval[1] < 0
    vectors = np.random.default_rng(1).normal(size=(120, 4))
    task, rows = Embedding(), np.array([5, 5, 9, 40])
    answers = task.answered(task.metric, targets, vectors)
    drawn = np.concatenate([vectors[rows], vectors[60 + rows]])
    assert answers.of(rows) == task.metrics(targets[rows], drawn)["spearman"]
    assert answers.of(np.array([5, 5])) is None


def test_translations():
    sources, targets = ["a", "b", "c"] * 10, ["a man rides a horse", "two dogs run", "no"] * 10
    models = [Told(Translation(), texts=texts)
              for texts in (["no", "two dogs", "a man"] * 10, targets)]  # fmt: skip
    [found] = significance(models, (sources, targets))
    assert (found.metric, found.value) == ("bleu", pytest.approx(100.0))
    assert found.interval[0] > 0 and found.is_beyond_chance


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda one: [one], {}, "^Expected at least two models"),
        (lambda one: one, {}, "^Expected at least two models"),
        (lambda one: [one, one], {"samples": 5}, "^Expected at least 100 samples, got samples=5"),
        (lambda one: [one, one], {"sample_seed": -1}, "at least 0, got sample_seed=-1"),
        (lambda one: [one, one], {"beams": 2}, "^Expected no beams"),
        (
            lambda one: [one, Told(Regression())], {},
            "^Expected models of one task .*, got regression with 0 labels in model 2",
        ),
        (
            lambda one: [Told(LanguageModeling())] * 2, {},
            "^Expected a task whose rows can be drawn one by one, got language-modeling",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_tested(change, options, message, runs):
    with pytest.raises(InputError, match=message):
        significance(change(runs.trained), runs.folder / "validation.tsv", **options)


def test_few_rows_say_nothing(runs):
    with pytest.raises(InputError, match="^Expected at least 20 rows to draw samples of, got 3.$"):
        significance([runs.trained] * 2, runs.examples.take([0, 1, 2]))


def test_a_runner_is_called_by_its_name(runs, files):
    found = significance([Runner(files["float32"]), runs.trained], runs.examples, samples=100)
    assert (found.first, found[0].model) == (str(files["float32"]), "model 2")
