"""Differences of whole models; the tests themselves are in zoo/evaluation/test_significance.py."""

import dataclasses

import numpy as np
import pytest

from keras_transformer.edge.compare.significance import significance
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.answering.answers import AnswerOutputs, Candidate
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.significance import mcnemar, paired_interval
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.outputs import Outputs
from keras_transformer.zoo.predictor import Predictor
from keras_transformer.zoo.tagging.windows import TagOutputs
from keras_transformer.zoo.tagging.words import words_of
from keras_transformer.zoo.tasks.answering.question_answering import QuestionAnswering
from keras_transformer.zoo.tasks.embedding import Embedding
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.tasks.multi_label import MultiLabel
from keras_transformer.zoo.tasks.regression import Regression
from keras_transformer.zoo.tasks.tagging.token_classification import TokenClassification
from keras_transformer.zoo.tasks.translation import Translation
from tests.answering import PLACES, questions


class Told(Predictor):
    """A model whose answers are given."""

    def __init__(self, task, outputs=None, texts=None):
        self.task, self.told, self.texts = task, outputs, texts
        self.task_name, self.output_kind, self.labels = task.name, task.output, task.labels
        self.pair, self.precision = task.pair, "float32"
        self.columns = task.named_columns(None)

    def outputs(self, rows, pairs=None):
        is_array = isinstance(self.told, np.ndarray)
        return Outputs(self.told, [False] * len(rows)) if is_array else self.told

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


def test_tags():
    """Entities, or plain words, of drawn rows are counted together."""
    labels = ("O", "B-A", "I-A")
    rng = np.random.default_rng(0)
    words = [[f"w{word}" for word in range(rng.integers(2, 6))] for _ in range(40)]
    right = [rng.choice(labels[:2], len(row)).tolist() for row in words]
    for names in (labels, ("o", "a", "i")):
        task = TokenClassification(labels=names)
        tags = [[names[labels.index(tag)] for tag in row] for row in right]
        wrong = [row if place % 4 else ["O" if task.has_entities else "o"] * len(row)
                 for place, row in enumerate(tags)]  # fmt: skip
        models = [Told(task, tag_outputs(names, words, found)) for found in (tags, wrong)]
        [found] = significance(models, (words, tags), samples=100)
        assert (found.metric, found.first_value) == (task.metric.name, 1.0)
        examples = task.read((words, tags))
        expected = task.metrics(examples, models[1].told)[task.metric.name]
        assert found.value == pytest.approx(expected) and 0.5 < found.value < 1
        assert found.interval[1] < 0 and found.mcnemar is None
        rows = np.array([4, 4, 7, 3])
        drawn = task.metrics(examples.take(rows), tag_outputs(names, *(
            [part[row] for row in rows] for part in (words, wrong)
        )))  # fmt: skip
        answers = task.answers(models[1], examples)
        assert answers.of(rows) == pytest.approx(drawn[task.metric.name])


def tag_outputs(labels, words, tags):
    """Outputs that say the tags."""
    scores = [
        np.array([[9.0 * (one == tag) for one in labels] for tag in row], "float32") for row in tags
    ]
    return TagOutputs(
        scores, [np.ones(len(row), bool) for row in tags], words, [False] * len(words)
    )


def test_answers():
    rows = questions(40, 0, unanswerable=0.3)
    contexts = [words_of(row["context"]) for row in rows]
    place = [
        next((word for word, name in enumerate(context.words) if name in PLACES), None)
        for context in contexts
    ]
    told = []
    for wrong in (0, 3):
        candidates = [
            Candidate(0, 0, 0.0, 9.0, 9.0) if one is None or (wrong and row % wrong == 0)
            else Candidate(one, one, 9.0, 0.0, 9.0) for row, one in enumerate(place)
        ]  # fmt: skip
        told.append(AnswerOutputs(candidates, contexts, [False] * 40, 0.0))
    models = [Told(QuestionAnswering(), one) for one in told]
    [found] = significance(models, rows, samples=100)
    missed = sum(one is not None and row % 3 == 0 for row, one in enumerate(place))
    assert (found.metric, found.first_value) == ("f1", 1.0)
    assert found.value == pytest.approx(1 - missed / 40) and found.interval[1] < 0


def test_each_model_has_its_own_thresholds():
    """What one calls a label at 0.1 the other does not at 0.9."""
    texts, labels = ["row"] * 20, [["a"], ["b"]] * 10
    scores = np.array([[0.0, -9.0], [-9.0, 0.0]] * 10)
    models = [
        Told(MultiLabel(labels=("a", "b"), thresholds=(cut, cut)), scores) for cut in (0.1, 0.9)
    ]
    [found] = significance(models, (texts, labels), samples=100)
    assert (found.metric, found.first_value, found.value) == ("micro_f1", 1.0, 0.0)


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
            "^Expected a task of separate rows, got language-modeling; evaluate each.$",
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
