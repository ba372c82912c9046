"""What Python's switches do to docstrings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_transformer

MODULES = sorted(
    f"keras_transformer.{path.stem}"
    for path in Path(keras_transformer.__file__).parent.glob("*.py")
    if path.stem != "__init__"
)


@pytest.mark.slow
def test_the_layers_are_imported_without_docstrings():
    assert "keras_transformer.blocks" in MODULES
    program = f"import {', '.join(MODULES)}; print(__debug__, keras_transformer.blocks.__doc__)"
    command = [sys.executable, "-OO", "-c", program]
    # The backend that imports the least: with -OO nothing of it is compiled beforehand.
    finished = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "numpy"}
    )
    assert (finished.returncode, finished.stdout) == (0, "False None\n"), finished.stderr
