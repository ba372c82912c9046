"""Files of several tasks: a signature for each, one for all, and the same predictions."""

import copy

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import keras_transformer as kt
from keras_transformer.edge.choose.candidates import Candidate
from keras_transformer.edge.choose.search import search
from keras_transformer.edge.compare.compare import compare_layers
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.zoo.errors import InputError
from tests.edge.converted import converter
from tests.multi_task import SETTINGS, table, trained

ROWS = ["the old ship saw Anna Stone and Lima .", "the ship saw nothing of Paris ."]
SLOW = [
    pytest.param(one, marks=pytest.mark.slow)
    for one in ("float32", "dynamic_int8", "float16", "integer")
]


@pytest.fixture(scope="module")
def file():
    """Converts to a precision, each only once; float32 has two lengths."""
    return converter(trained, table(), lengths=[24, 40])


def choices(found):
    """What each task chose for a row."""
    named = [(one.label, one.start, one.end) for one in found["names"].spans]
    return found["kind"].label, named


@pytest.mark.parametrize("precision", ["int8", *SLOW])
def test_a_file_predicts_as_its_checkpoint(file, precision):
    runner = kt.Runner(file(precision))
    assert (runner.task, runner.head_names) == ("multi-task", trained().head_names)
    found, expected = runner.predict(ROWS), trained().predict(ROWS)
    assert list(map(choices, found)) == list(map(choices, expected))
    [both], [wanted] = (one.predict(ROWS[:1], ROWS[1:]) for one in (runner, trained()))
    assert both["named"].score == pytest.approx(wanted["named"].score, abs=0.3)
    measured, known = kt.evaluate(runner, table()), trained().evaluate(table())
    for name in ("kind accuracy", "names f1", "named pearson"):
        assert measured[name] == pytest.approx(known[name], abs=0.05)


def test_signatures_are_of_each_task_and_of_all(file):
    """LiteRT's own interpreter runs them, and the outputs are Keras' of the whole model."""
    interpreter = Interpreter(model_content=unpack(bytes(file("float32")))[0])
    assert set(interpreter.get_signature_list()) == {
        f"{name}{suffix}" for name in ("predict", "kind", "names", "named")
        for suffix in ("", "_24")
    }  # fmt: skip
    ids = np.zeros((1, 40), "int32")
    ids[0, :8] = [2, 7, 9, 3, 11, 8, 10, 3]
    segments = np.zeros_like(ids)
    segments[0, 4:8] = 1
    whole = trained().model({"ids": ids, "segment_ids": segments})
    found = interpreter.get_signature_runner("predict")(ids=ids, segment_ids=segments)
    assert set(found) == {"kind", "names", "named"}
    for name, value in found.items():
        np.testing.assert_allclose(value, whole[name], atol=1e-4)
    pair = interpreter.get_signature_runner("named")(ids=ids, segment_ids=segments)
    np.testing.assert_allclose(pair["output"], whole["named"], atol=1e-4)
    single = trained().model({"ids": ids[:, :24], "segment_ids": 0 * ids[:, :24]})
    for name in ("kind", "names"):
        found = interpreter.get_signature_runner(f"{name}_24")(ids=ids[:, :24])
        np.testing.assert_allclose(found["output"], single[name], atol=1e-4)


def test_one_pass_serves_all_tasks_of_a_row(file, monkeypatch):
    runner, calls = kt.Runner(file("float32")), []
    engine = type(runner._engines.claim().engine)
    call = engine.__call__

    def counted(self, length, inputs, kind="predict"):
        calls.append(kind)
        return call(self, length, inputs, kind)

    monkeypatch.setattr(engine, "__call__", counted)
    together = runner.predict(ROWS)
    assert calls == ["predict", "predict"]
    calls.clear()
    alone = {name: runner.head(name).predict(ROWS) for name in ("kind", "names")}
    # A head alone keeps what it ran for as long as it predicts.
    assert len(calls) == 4
    for name, found in alone.items():
        for one, other in zip(found, together, strict=True):
            assert one == other[name]


def test_a_head_is_compared_with_its_checkpoint_layer_by_layer(file):
    head, runner = trained().head("kind"), kt.Runner(file("float32")).head("kind")
    rows = table()["kind"]["test"]
    [one] = kt.compare(head, runner, rows)
    assert one.metric == "accuracy" and one.parity.agreement > 0.95
    layers = compare_layers(head, runner, head.task.inputs(head.task.read(rows), head.modality))
    [found] = layers.values()
    assert found and not any(layer.departs for layer in found)
    with pytest.raises(InputError, match="one task to compare, got kind, names, named"):
        kt.compare(trained(), file("float32"), table())


@pytest.mark.slow
def test_training_for_int8_takes_all_tasks(file):
    quantized = kt.quantize(trained(), "int8", epochs=1)
    runner = kt.Runner(kt.convert(quantized))
    assert runner.precision == "int8"
    measured = kt.evaluate(runner, table())
    assert measured["mean"] == pytest.approx(trained().evaluate(table())["mean"], abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: kt.prune(trained(), heads=1, epochs=1), marks=pytest.mark.slow),
        pytest.param(lambda: kt.prune(trained(), sparsity=0.5, epochs=2), marks=pytest.mark.slow),
        lambda: kt.distill(trained(), "bert_tiny", settings=SETTINGS, epochs=1),
    ],
    ids=["structure", "magnitude", "distillation"],
)
def test_all_tasks_are_pruned_and_distilled(made):
    checkpoint = made()
    assert checkpoint.head_names == trained().head_names
    assert checkpoint.head("kind").predict(ROWS)
    assert 0 < checkpoint.metrics["validation"]["mean"] <= 1


@pytest.mark.slow
def test_a_search_measures_the_mean_of_the_tasks(tmp_path):
    candidates = [Candidate(precision=one) for one in ("float32", "dynamic_int8")]
    found = search(trained(), table(), tmp_path / "found", candidates=candidates, runs=3)
    assert found.metric.name == "mean" and [row.error for row in found.rows] == [None, None]
    assert found.rows[0].value == pytest.approx(trained().evaluate(table())["mean"], abs=1e-3)


def test_other_targets_take_one_task():
    with pytest.raises(InputError, match="for a model of several tasks, .*, with --head "):
        kt.convert(trained(), target="mediapipe")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"heads": {}}, "heads where output_kind='by head', got none"),
        ({"heads": 3}, "heads, an object of heads by name"),
        ({"output_kind": "classes"}, "to have output|Expected predict to have output"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(file, change, words):
    flatbuffer, description, files = unpack(bytes(file("float32")))
    with pytest.raises(InputError, match=words):
        kt.Runner(pack(flatbuffer, {**description, **change}, files))


def test_a_head_of_other_labels_is_refused(file):
    flatbuffer, description, files = unpack(bytes(file("float32")))
    heads = {name: dict(one) for name, one in description["heads"].items()}
    heads["kind"]["labels"] = ["one", "two", "three"]
    with pytest.raises(InputError, match="kind: Expected as many labels as the 2 outputs, got 3"):
        kt.Runner(pack(flatbuffer, {**description, "heads": heads}, files))
    heads = {name: one for name, one in description["heads"].items() if name != "kind"}
    with pytest.raises(InputError, match="to give named, names, got .* kind, named, names"):
        kt.Runner(pack(flatbuffer, {**description, "heads": heads}, files))


def test_a_head_that_the_file_lacks_is_named(file):
    with pytest.raises(InputError, match=r"a head of the file \(kind, names, named\), got 'x'"):
        kt.Runner(file("float32")).head("x")


def test_a_copy_of_a_head_predicts_the_same(file):
    head = kt.Runner(file("float32")).head("kind")
    other = copy.copy(head)
    assert other is not head and other.predict(ROWS) == head.predict(ROWS)


