"""Options of `train --distribute` that do not fit: one sentence each."""

import pytest

from tests.cli.calls import call

DATA = ("--train", __file__, "--validation", __file__, "--out", "no-out")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--distribute", "data"), "Expected Keras' backend to be jax for --distribute 'data', got "
         "tensorflow; set KERAS_BACKEND=jax."),
        (("--processes", "2"), "Expected --processes only with --distribute."),
        (("--coordinator", "a:1"), "Expected --coordinator only with --distribute."),
        (("--process", "0"), "Expected --process only with --distribute."),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_spread_is_refused(options, sentence, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    result = call("train", "bert_tiny", *DATA, *options)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {sentence}")
