from pathlib import Path

import numpy as np
import pytest
import sacrebleu

from keras_transformer.edge.choose.candidates import ladder
from keras_transformer.edge.choose.search import search
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.data.rows import Examples
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.outputs import Outputs
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.registry import TASKS, task_of
from keras_transformer.zoo.tasks.regression import Regression
from tests.edge.generators import generator
from tests.slow import mostly_slow

COLUMNS = {"source": "en", "target": "de"}
SOURCES, TARGETS = ["a tree", "b", "five of us"], ["ein Baum", "b", "zu fünft"]


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    rows = zip(SOURCES, TARGETS, strict=True)
    path.write_text("en\tde\n" + "".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    return path


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "plain.txt"
    path.write_text("a tree\nof five\n", encoding="utf-8")
    return path


def test_every_task_has_a_metric_and_its_points():
    assert {type(TASKS[name]().metric) for name in TASKS} == {Metric}
    assert TASKS["classification"].metric.drop(0.9, 0.88) == pytest.approx(2.0)
    assert TASKS["translation"].metric.drop(37.5, 38.0) == -0.5
    assert TASKS["language-modeling"].metric.drop(12.0, 12.5) == 0.5


class Fixed:
    """A predictor of fixed scores, which cuts the second text."""

    def __init__(self, scores):
        self.given = scores

    def outputs(self, texts, pairs=None):
        return Outputs(self.given, [False, True, False])


def examples(targets, **changes):
    values = {
        "texts": ["x"] * 3, "pairs": None, "targets": targets, "labels": [],
        "path": Path("f.tsv"), "lines": [2, 3, 4],
    }  # fmt: skip
    return Examples(**{**values, **changes})


def test_rows_and_cuts_are_counted():
    task = Classification(labels=("a", "b"))
    targets, scores = np.array([0, 1, 1]), np.eye(2)[[0, 1, 0]]
    result = task.evaluate(Fixed(scores), examples(targets))
    assert result == {"rows": 3, "truncated": 1, **task.metrics(targets, scores)}
    numbers = np.array([0.0, 1.0, 3.0])
    result = Regression().evaluate(Fixed(numbers[:, None]), examples(numbers))
    assert result == pytest.approx(
        {"rows": 3, "truncated": 1, "pearson": 1.0, "spearman": 1.0, "mean_squared_error": 0.0}
    )


def test_evaluation_that_does_not_fit():
    task = Regression()
    with pytest.raises(InputError, match=r"^f\.tsv: expected a label column to evaluate on\.$"):
        task.evaluate(Fixed(None), examples(None))
    with pytest.raises(InputError, match="^Expected single texts, as the model was trained on"):
        task.evaluate(Fixed(None), examples(np.ones(3), pairs=["x"] * 3))
    with pytest.raises(InputError, match="got beams=2"):
        task.evaluate(Fixed(None), examples(np.ones(3)), beams=2)
    with pytest.raises(InputError, match="^Expected no top_k for perplexity, got top_k=3"):
        TASKS["language-modeling"]().evaluate(Fixed(None), None, top_k=3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_no_numbers_are_not_measured(value):
    # The highest of NaN is the first class.
    scores = np.array([[0.0, 1.0], [value, 0.0], [1.0, value]])
    with pytest.raises(RunError, match=r"^Expected finite outputs .* got others in 2 of 3 rows\.$"):
        Classification(labels=("a", "b")).evaluate(Fixed(scores), examples(np.array([0, 1, 1])))
    with pytest.raises(RunError, match=r"in 1 of 3 rows\.$"):
        Regression().evaluate(Fixed(scores[:, :1]), examples(np.ones(3)))


def test_a_translator_is_measured_by_bleu(pairs):
    trained = generator("transformer")
    task = trained.task
    found = task.evaluate(trained, task.read(pairs, COLUMNS), max_tokens=6)
    texts = [one.text for one in trained.generator().generate(SOURCES, max_tokens=6)]
    assert found["bleu"] == sacrebleu.BLEU().corpus_score(texts, [TARGETS]).score
    assert found["rows"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", mostly_slow(["transformer", "gpt"], ["transformer"]))
def test_generating_models_are_searched(kind, pairs, plain, tmp_path):
    trained, out = generator(kind), tmp_path / "choice"
    data, columns = (pairs, COLUMNS) if kind == "transformer" else (plain, {})
    found = search(
        trained, data, out, columns=columns, max_drop=1.0, candidates=ladder(precisions=[]),
        runs=2,
    )  # fmt: skip
    [row] = found.rows
    assert (found.signature, found.choice.name) == ("decode", "float32")
    examples = trained.task.read(data, columns)
    file = Runner(out / "float32.tflite")
    assert task_of(file) == trained.task
    assert row.value == task_of(file).evaluate(file, examples)[found.metric.name]
    in_keras = trained.task.evaluate(trained, examples)[found.metric.name]
    assert row.value == pytest.approx(in_keras, rel=1e-3)


def test_data_that_does_not_fit_is_refused_before_anything_is_made(plain, pairs, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text(" ")
    for kind, data, columns, sentence in (
        ("transformer", plain, COLUMNS, "expected a name that ends in"),
        ("transformer", pairs, {**COLUMNS, "target": "fr"}, "there is no column 'fr'"),
        ("gpt", empty, {}, "expected text, the file is empty."),
    ):
        with pytest.raises(InputError, match=sentence):
            search(
                generator(kind), data, tmp_path / "choice", columns=columns, max_drop=1.0,
                candidates=ladder(precisions=[]),
            )  # fmt: skip
    assert not (tmp_path / "choice").exists()
