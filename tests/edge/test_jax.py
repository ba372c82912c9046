"""quantize, prune and distill on JAX, where TensorFlow is not installed, against TensorFlow."""

import os
import subprocess
import sys

import numpy as np
import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.build import get_weights, is_range
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.edge import verbs
from tests.slow import mostly_slow
from tests.zoo import tiny

# The last weights after so few steps; those of a start are equal for other reasons.
WEIGHTS, RANGES = 2e-4, 2e-3


@pytest.fixture(scope="module")
def trained(tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    settings = tiny.SETTINGS | {"num_layers": 2, "dropout": 0.0, "attention_dropout": 0.0}
    recipe = tiny.recipe(tables, settings=settings, weight_decay=0.0, token_dropout=0.0)
    train_recipe(recipe, folder / "float")
    return folder / "float"


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    mostly_slow(
        ["quantize", "labels,learned", "prune,pairs,clusters", "heads,blocks,distill"],
        ["quantize"],
    ),
)
def test_a_run_on_jax_is_that_of_tensorflow(names, trained, tmp_path):
    program = [sys.executable, "-m", "tests.edge.verbs", str(trained), str(tmp_path), names]
    fresh = subprocess.run(
        program, capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert fresh.returncode == 0, fresh.stderr
    for name in names.split(","):
        ours, theirs = verbs.run(name, trained, None), Checkpoint.load(tmp_path / name)
        expected, found = get_weights(ours.model), get_weights(theirs.model)
        assert expected.keys() == found.keys()
        for path, value in expected.items():
            # A constant added to all keys of a query changes nothing but rounding errors.
            if path.endswith("key/bias"):
                continue
            tolerance = RANGES * np.abs(value).max() if is_range(path) else WEIGHTS
            np.testing.assert_allclose(
                found[path], value, rtol=0, atol=tolerance, err_msg=f"{name} {path}"
            )
        texts = ["an old plum", "the iron"]
        said = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(theirs.scores(texts), said, atol=1e-5)
        start = get_weights(Checkpoint.load(trained).model)
        shared = start.keys() & found.keys()
        assert any(not np.array_equal(found[path], start[path]) for path in shared)
