"""`convert --precision mixed`: what stays float, what it says of it, and what it refuses."""

import contextlib
import re

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.choose.simulation import Simulation
from keras_transformer.edge.quantize.ranges import calibration_batches
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert as edge_convert
from keras_transformer.edge.tflite.schema import kernels
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.tasks.measure import evaluate
from tests.cli.calls import call, error_of
from tests.cli.weights import changed
from tests.edge.models import with_outliers


def rows_of(result):
    """The table that the command prints."""
    lines = (re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines())
    return {line[0]: line[1] for line in lines if len(line) == 2}


def mixed(checkpoint, data, out, max_drop):
    return call(
        "convert", checkpoint, "--precision", "mixed", "--max-drop", max_drop, "--data",
        data.validation, "--calibration", data.train, "--out", out,
    )  # fmt: skip


def floats_of(flatbuffer):
    """The float tensors of a file that are constants, as LiteRT reads them."""
    interpreter = Interpreter(model_content=flatbuffer)
    interpreter.allocate_tensors()
    for detail in interpreter.get_tensor_details():
        if detail["dtype"] == np.float32:
            # Nothing is stored for what is computed.
            with contextlib.suppress(ValueError):
                yield interpreter.get_tensor(detail["index"])


@pytest.mark.slow
def test_the_costly_layers_stay_float(checkpoint, data, tmp_path):
    def move(weights):
        # Positions take back what the table of tokens adds, of which int8 holds nothing else.
        weights["token_embedding/embeddings"][:, 0] += 300.0
        weights["position_embedding/embeddings"][:, 0] -= 300.0

    moved, out = changed(checkpoint, tmp_path / "moved", move), tmp_path / "m.tflite"
    result = mixed(moved, data, out, 1)
    assert result.exit_code == 0, result.output
    assert "Note: With embedding in float 0.00 points of at most 1 points are lost" in result.stderr
    rows = rows_of(result)
    assert rows["kept in float"] == "embedding"
    assert rows["points of accuracy lost"] == "0.00 of at most 1 on validation.tsv"
    cost = re.fullmatch(
        r"([\d.]+) times the latency, ([\d.]+) times the size",
        rows["against int8 with nothing kept"],
    )
    # Three more bytes for each number of the table are most of what is added.
    assert 0.2 < float(cost[1]) < 5 and 1.05 < float(cost[2]) < 2
    card = (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| kept in float | embedding |" in card

    # The file itself: its table is the checkpoint's to the last bit, and its kernels are integers.
    runner, (flatbuffer, _, _) = Runner(out), unpack(out)
    assert (runner.precision, runner.description["keep"]) == ("int8", ["token_embedding"])
    table = get_weights(Checkpoint.load(moved).model)["token_embedding/embeddings"]
    assert any(np.array_equal(one, table) for one in floats_of(flatbuffer))
    assert {one.type for one in kernels(flatbuffer)} == {"INT8"}
    expected = evaluate(Checkpoint.load(moved), data.validation)["accuracy"]
    assert expected - evaluate(runner, data.validation)["accuracy"] <= 0.01


@pytest.mark.slow
def test_a_budget_that_cannot_be_met(checkpoint, data, tmp_path):
    def shift(weights):
        # The probabilities stay the same, but the logits are stored, which no file keeps in float.
        weights["head/bias"][:] += 1000.0

    scaled = changed(checkpoint, tmp_path / "scaled", shift)
    code, line = error_of(mixed(scaled, data, tmp_path / "m.tflite", 1))
    assert code == 1
    assert line.startswith("Error: No choice met 1 points: the nearest, ")
    assert "in float, loses " in line
    assert [path.name for path in tmp_path.iterdir()] == ["scaled"]


@pytest.mark.slow
def test_what_is_kept_is_simulated_with_the_ranges_of_its_file(checkpoint, data):
    """Rounded, attention writes noise, and the ranges behind it would be those of the noise."""
    broken = with_outliers(Checkpoint.load(checkpoint), 1e5)
    examples = broken.task.examples_of(data.validation, broken.columns)

    def measure(predictor):
        return broken.task.evaluate(predictor, examples)

    batches = calibration_batches(broken, data.train)
    simulation = Simulation(broken, "int8", batches, measure, broken.task.metric)
    [attention] = [one for one in simulation.groups if one.name.endswith("/attention")]
    keep = [f"{pattern}=float32" for pattern in attention.patterns]
    file = Runner(edge_convert(broken, "int8", calibration=batches, keep=keep))
    assert simulation.calibrated_value([attention]) == measure(file)["accuracy"] == 1.0
    assert simulation.value([attention]) < 1.0


@pytest.mark.slow
def test_nothing_need_stay_float(checkpoint, data, tmp_path):
    result = mixed(checkpoint, data, tmp_path / "m.tflite", 100)
    assert result.exit_code == 0, result.output
    assert "All of it can be int8" in result.stderr
    rows = rows_of(result)
    assert rows["kept in float"] == "nothing"
    assert "against int8 with nothing kept" not in rows
    assert Runner(tmp_path / "m.tflite").description["keep"] == []


MIXED = ("--precision", "mixed")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            ["--precision", "int8", "--data", "{rows}"],
            "Expected --data only with --precision mixed, got --precision int8.",
        ),
        (
            ["--precision", "int8:auto"],
            "Expected --calibration FILE with --precision int8:auto, got none.",
        ),
        (
            ["--precision", "int8", "--arm64", "cortex-a76"],
            "Expected --arm64 only with --precision int8:auto, got --precision int8.",
        ),
        (
            ["--max-drop", "1"],
            "Expected --max-drop only with --precision mixed, got no --precision.",
        ),
        (
            ["--language", "de"],
            "Expected --language only with --precision mixed, got no --precision.",
        ),
        (
            [*MIXED, "--data", "{rows}", "--calibration", "{rows}", "--language", "de"],
            "Expected --language only for a model that generates text, got --language 'de'.",
        ),
        (
            [*MIXED, "--calibration", "{rows}"],
            "Expected --data FILE with --precision mixed, got none.",
        ),
        (
            [*MIXED, "--data", "{rows}"],
            "Expected --calibration FILE with --precision mixed, got none.",
        ),
        (
            [*MIXED, "--data", "{rows}", "--calibration", "{rows}", "--keep", "head=float32"],
            "Expected no --keep with --precision mixed, which finds the layers to keep, got "
            "head=float32.",
        ),
        (
            [*MIXED, "--data", "{rows}", "--calibration", "{rows}", "--rounding", "learned"],
            "Expected no --rounding with --precision mixed",
        ),
        (
            [*MIXED, "--data", "{rows}", "--calibration", "{rows}", "--rotate"],
            "Expected no --rotate with --precision mixed",
        ),
        (
            [*MIXED, "--data", "{rows}", "--calibration", "{rows}", "--max-drop", "-1"],
            "Expected --max-drop to be 0 or more points, got --max-drop -1.0.",
        ),
        (
            [*MIXED, "--data", "{rows}", "--calibration", "{rows}", "--target", "saved_model"],
            "Expected a precision that the target saved_model can run, which are float32; got "
            "--precision mixed.",
        ),
        (
            [*MIXED, "--data", "{rows}", "--calibration", "{rows}", "--lengths", "64"],
            "Expected lengths from 1 to the model's 32, got length=64.",
        ),
        (
            [*MIXED, "--data", "{rows}", "--calibration", "{rows}", "--smooth", "2"],
            "Expected --smooth to be auto, none or a number from 0 to 1, got --smooth '2'.",
        ),
    ],
)  # fmt: skip
def test_mistakes(checkpoint, data, tmp_path, given, sentence):
    words = [word.format(rows=data.train) for word in given]
    code, line = error_of(call("convert", checkpoint, *words, "--out", tmp_path / "m.tflite"))
    assert (code, sentence in line) == (2, True), line
    assert list(tmp_path.iterdir()) == []
