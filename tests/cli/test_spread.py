"""Options of `train --distribute` and `--engine` that do not fit: one sentence each."""

import sys

import pytest

from tests.cli.calls import call

DATA = ("--train", __file__, "--validation", __file__, "--out", "no-out")
RAY = ("--engine", "ray", "--workers", "2")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--distribute", "data"), "Expected Keras' backend to be jax for --distribute 'data', got "
         "tensorflow; set KERAS_BACKEND=jax."),
        (("--processes", "2"), "Expected --processes only with --distribute."),
        (("--coordinator", "a:1"), "Expected --coordinator only with --distribute."),
        (("--process", "0"), "Expected --process only with --distribute."),
        (("--workers", "2"), "Expected --workers only with --engine."),
        (("--restarts", "2"), "Expected --restarts only with --engine."),
        (("--engine", "ray"), "Expected --workers N with --engine ray."),
        ((*RAY, "--coordinator", "a:1"), "Expected no --coordinator beside --engine ray, whose "
         "processes find each other."),
        ((*RAY, "--process", "1"), "Expected no --process beside --engine ray, whose processes "
         "find each other."),
        (RAY, "Expected Ray to be installed for --engine ray, got none (import of ray halted; "
         "None in sys.modules); run: pip install 'keras-transformer-zoo[ray]'."),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_spread_is_refused(options, sentence, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setitem(sys.modules, "ray", None)
    result = call("train", "bert_tiny", *DATA, *options)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {sentence}")


def test_a_command_says_what_a_machine_without_tensorflow_lacks(monkeypatch):
    # As Python says it where a command imports what it needs.
    def lacking(_):
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow.io")

    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr("keras_transformer.cli.main.import_module", lacking)
    result = call("convert", "checkpoint", "--out", "file.tflite")
    assert result.exit_code == 2
    assert "Error: Expected tensorflow to be installed for this command, got none" in result.stderr
