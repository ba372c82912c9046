"""Runs this folder's tests on the backends that the session itself does not run on."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

FOLDER = Path(__file__).parent
# JAX compiles each operation for each shape, which takes longer than the tests' numbers do.
QUICK_COMPILATION = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


# Files whose tests meet every layer, in a fifth of the time that all take.
SOME = (
    "blocks", "convolution", "embeddings", "fake_quant", "low_rank", "positions", "quantization",
    "rounding",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
@pytest.mark.parametrize("which", ["some", "all"])
def test_the_layers_pass_on(backend, which, pytestconfig):
    if backend == keras.backend.backend():
        pytest.skip(f"this session runs on {backend}")
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    some = [str(FOLDER / f"test_{name}.py") for name in SOME]
    finished = subprocess.run(
        [*command, *([f"--ignore={__file__}", str(FOLDER)] if which == "all" else some)],
        cwd=FOLDER.parent.parent,
        env={
            **os.environ,
            **QUICK_COMPILATION,
            "JAX_COMPILATION_CACHE_DIR": str(pytestconfig.cache.mkdir("jax")),
            "KERAS_BACKEND": backend,
        },
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-2000:]
