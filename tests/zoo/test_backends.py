"""Verbs on Keras' backends: each runs, or is refused in one sentence before anything is read."""

import json
import os
import subprocess
import sys

import pytest

from keras_transformer.zoo.backends import BACKENDS, check_backend
from keras_transformer.zoo.errors import InputError
from tests.slow import mostly_slow

# Calls with paths that do not exist, which would be another error.
PROGRAM = """
import json
import keras_transformer as kt
from keras_transformer.cli.main import main
from keras_transformer.edge.compare.compare import compare_layers
from keras_transformer.edge.quickstart import dates
from keras_transformer.edge.quickstart.quickstart import quickstart
from click.testing import CliRunner

none, out = "no-checkpoint", "no-out"
functions = {
    "train": lambda: kt.train("bert_tiny", train="none", validation="none", text="t", label="l"),
    "prune": lambda: kt.prune(none, sparsity=0.5),
    "distill": lambda: kt.distill(none, "bert_tiny"),
    "quantize": lambda: kt.quantize(none),
    "convert": lambda: kt.convert(none),
    "sensitivity": lambda: kt.sensitivity(none, none),
    "search": lambda: kt.search(none, none, out),
    "compare": lambda: kt.compare(none, [none], none),
    "compare --layers": lambda: compare_layers(none, [none], none),
    "quickstart": lambda: quickstart(dates.JOB, out),
}
data = ("--data", __file__)
commands = {
    "train": ("bert_tiny", "--train", __file__, "--validation", __file__, "--out", out),
    "prune": (none, "--sparsity", "0.5", "--out", out),
    "distill": (none, "bert_tiny", "--out", out),
    "quantize": (none, "--out", out),
    "convert": (none, "--out", out),
    "sensitivity": (none, *data),
    "search": (none, *data, "--out", out),
    "compare": (none, __file__, *data),
    "compare --layers": (none, __file__, *data, "--layers"),
    "quickstart": ("--out", out),
}
said = {}
for verb, function in functions.items():
    try:
        function()
    except Exception as error:
        said[verb] = [type(error).__name__, str(error)]
    result = CliRunner().invoke(main, [verb.split()[0], *commands[verb]])
    said[verb] += [result.exit_code, result.stderr.splitlines()[-1], repr(result.exception)]
print(json.dumps(said))
"""


@pytest.mark.parametrize("backend", mostly_slow(["jax", "torch", "numpy"], ["torch"]))
def test_each_verb_is_refused_or_runs(backend, tmp_path):
    pytest.importorskip(backend)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, env=environment,
        cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout.splitlines()[-1])
    assert set(said) == set(BACKENDS)
    for verb, (kind, sentence, code, line, exception) in said.items():
        runs = backend in BACKENDS[verb]
        refusal = f"for {verb}, got {backend}; set KERAS_BACKEND=tensorflow."
        assert sentence.endswith(refusal) != runs, (verb, sentence)
        assert (kind, code) == ("FileNotFoundError" if runs else "InputError", 2), (verb, exception)
        assert line.endswith(refusal) != runs, (verb, line)
        assert exception == "SystemExit(2)"


def test_the_backend_of_the_tests_runs_every_verb():
    for verb in BACKENDS:
        check_backend(verb)


def test_another_backend(monkeypatch):
    monkeypatch.setattr("keras.config.backend", lambda: "torch")
    check_backend("train")
    with pytest.raises(InputError, match="to be tensorflow, jax for prune, got torch; set K"):
        check_backend("prune")
    monkeypatch.setattr("keras.config.backend", lambda: "numpy")
    with pytest.raises(InputError, match="tensorflow, jax, torch for train, got numpy; set"):
        check_backend("train")
