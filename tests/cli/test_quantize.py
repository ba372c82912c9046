import json

import pytest

from keras_transformer.edge.runtime.runner import Runner
from tests.cli.calls import call, error_of, fill_disk


@pytest.fixture(scope="module")
def quantized(tmp_path_factory, checkpoint, data):
    folder = tmp_path_factory.mktemp("quantized")
    result = call(
        "quantize", checkpoint, "--train", data.train, "--epochs", 2, "--learning-rate", "1e-3",
        "--share", "0.25", "--temperature", "3", "--tensorboard", folder / "curves",
        "--out", folder / "model",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder / "model", result


def test_a_run_reports_and_writes_a_checkpoint(quantized):
    out, result = quantized
    assert result.stderr.startswith("Device: cpu:0 (tensorflow backend)\nEpoch 1: loss ")
    assert result.stdout.endswith(f"\nWrote {out}\n")
    config = json.loads((out / "config.json").read_text())
    assert config["bits"] == {"kernel_bits": 8, "row_bits": 8, "activation_bits": 8}
    recipe = json.loads((out / "recipe.json").read_text())
    assert (recipe["training"]["epochs"], recipe["optimizer"]["learning_rate"]) == (2, 1e-3)
    quantize = recipe["quantize"]
    assert (quantize["ranges"], quantize["freeze_ranges"]) == ("moving-average", 0.2)
    assert (recipe["distill"]["share"], recipe["distill"]["temperature"]) == (0.25, 3.0)
    assert any((out.parent / "curves").iterdir())


def test_a_run_that_had_ended_writes_nothing(quantized, checkpoint, data):
    out, _ = quantized
    before = (out / "manifest.json").stat()  # reading it changes the time of access alone
    result = call(
        "quantize", checkpoint, "--train", data.train, "--epochs", 2, "--learning-rate", "1e-3",
        "--share", "0.25", "--temperature", "3", "--out", out, "--resume",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"Note: {out} is whole already: the run had ended.\n" in result.stderr
    assert "accuracy" in result.stdout and "Wrote" not in result.output
    after = (out / "manifest.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.slow
def test_learned_ranges_of_a_percentile(checkpoint, tmp_path):
    options = ("--ranges", "learned", "--freeze-ranges", "0.5", "--percentile", "99.9")
    result = call("quantize", checkpoint, "--epochs", 1, *options, "--out", tmp_path / "model")
    assert result.exit_code == 0, result.output
    recipe = json.loads((tmp_path / "model" / "recipe.json").read_text())
    names = ("ranges", "freeze_ranges", "percentile")
    assert [recipe["quantize"][name] for name in names] == ["learned", 0.5, 99.9]


def test_it_becomes_an_int8_file_of_the_same_accuracy(quantized, data, tmp_path):
    out = tmp_path / "model.tflite"
    result = call("convert", quantized[0], "--precision", "int8", "--out", out)
    assert result.exit_code == 0
    assert "the same in output steps" in result.stdout
    assert Runner(out).precision == "int8"
    measured = [
        json.loads(call("evaluate", model, "--data", data.validation, "--json").stdout)
        for model in (quantized[0], out)
    ]
    assert [one["precision"] for one in measured] == ["int8, simulated", "int8"]
    assert measured[0]["accuracy"] == measured[1]["accuracy"]


def test_precisions_that_do_not_fit_it(quantized, data, tmp_path):
    arguments = ("convert", quantized[0], "--out", tmp_path / "m.tflite", "--precision")
    assert error_of(call(*arguments, "float16")) == (
        2,
        "Error: Expected precision int8, for which this checkpoint was quantized, got "
        "--precision float16; convert the float checkpoint that it was made from.",
    )
    code, line = error_of(call(*arguments, "int8", "--calibration", data.train))
    assert (code, "got --precision int8 for a quantized checkpoint." in line) == (2, True)


def test_a_quantized_checkpoint_is_refused(quantized, tmp_path):
    assert error_of(call("quantize", quantized[0], "--out", tmp_path / "model")) == (
        2,
        "Error: Expected a float checkpoint to quantize, got a quantized one.",
    )


def test_a_path_that_exists_is_refused(checkpoint):
    assert error_of(call("quantize", checkpoint, "--out", checkpoint)) == (
        2,
        f"Error: {checkpoint} exists; choose another path or give --overwrite.",
    )


def test_a_full_disk(checkpoint, tmp_path, monkeypatch):
    fill_disk(monkeypatch)
    out = tmp_path / "model"
    code, line = error_of(call("quantize", checkpoint, "--epochs", 1, "--out", out))
    assert (code, line.startswith("Error: No space left on device: ")) == (1, True)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--epochs", "0"], "Invalid value for '--epochs'"),
        (["--ranges", "fast"], "'fast' is not one of 'moving-average', 'learned'"),
        (["--freeze-ranges", "1.5"], "Expected --freeze-ranges to be from 0 to 1, got "),
        (["--freeze-ranges", "-0.5"], "Expected --freeze-ranges not to be negative, got "),
        (
            ["--precision", "dynamic_int8", "--ranges", "learned"],
            "Expected no learned ranges, no percentile and no method for dynamic_int8, which has "
            "no ranges, got --ranges learned, --percentile 0, --range-method least-error.",
        ),
        (
            ["--precision", "int16x8", "--range-method", "entropy"],
            "Expected a --range-method other than entropy for activations of more than 8 bits",
        ),
        (["--share", "1.5"], "Expected --share to be from 0 to 1, got --share 1.5."),
        (["--temperature", "0"], "Expected --temperature to be above 0, got --temperature 0.0."),
        (["--percentile", "50"], "Expected --percentile to be above 50 and at most 100, got "),
        (["--learning-rate", "-1"], "Expected --learning-rate to be above 0"),
        (["--train", "no.tsv"], "There is no file no.tsv."),
    ],
)
def test_mistakes_in_options(checkpoint, tmp_path, arguments, sentence):
    result = call("quantize", checkpoint, *arguments, "--out", tmp_path / "model")
    code, line = error_of(result)
    assert (code, sentence in line) == (2, True), line
