import pytest
import sacrebleu

from keras_transformer.edge.choose.candidates import ladder
from keras_transformer.edge.choose.search import search
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.evaluate import METRICS, read_evaluation
from keras_transformer.zoo.tasks.task import DECIDING_METRIC
from tests.edge.generators import generator

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
    assert set(METRICS) == set(DECIDING_METRIC)
    assert METRICS["classification"].drop(0.9, 0.88) == pytest.approx(2.0)
    assert METRICS["translation"].drop(37.5, 38.0) == -0.5
    assert METRICS["language-modeling"].drop(12.0, 12.5) == 0.5


def test_a_translator_is_measured_by_bleu(pairs):
    trained = generator("transformer")
    found = read_evaluation(trained, pairs, COLUMNS, max_tokens=6)(trained)
    texts = [one.text for one in trained.generator().generate(SOURCES, max_tokens=6)]
    assert found["bleu"] == sacrebleu.BLEU().corpus_score(texts, [TARGETS]).score
    assert found["rows"] == 3


@pytest.mark.parametrize("kind", ["transformer", "gpt"])
def test_generating_models_are_searched(kind, pairs, plain, tmp_path):
    trained, out = generator(kind), tmp_path / "choice"
    data, columns = (pairs, COLUMNS) if kind == "transformer" else (plain, {})
    found = search(
        trained, data, out, columns=columns, max_drop=1.0, candidates=ladder(precisions=[]),
        runs=2,
    )  # fmt: skip
    [row] = found.rows
    assert (found.signature, found.choice.name) == ("decode", "float32")
    measure = read_evaluation(trained, data, columns)
    assert row.value == measure(Runner(out / "float32.tflite"))[found.metric.name]
    in_keras = measure(trained)[found.metric.name]
    assert row.value == pytest.approx(in_keras, rel=1e-3)


def test_data_that_does_not_fit_is_refused_before_anything_is_made(plain, pairs, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text(" ")
    for kind, data, columns, sentence in (
        ("transformer", plain, COLUMNS, "expected a name that ends in"),
        ("transformer", pairs, {**COLUMNS, "target": "fr"}, "there is no column 'fr'"),
        ("gpt", empty, {}, "expected text to learn from, the file is empty."),
    ):
        with pytest.raises(InputError, match=sentence):
            search(
                generator(kind), data, tmp_path / "choice", columns=columns, max_drop=1.0,
                candidates=ladder(precisions=[]),
            )  # fmt: skip
    assert not (tmp_path / "choice").exists()
