"""The same training code on JAX, in a process of its own; the checkpoint loads on TensorFlow."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from tests.zoo import tiny

PROGRAM = """
import json, sys
import tensorflow as tf
from keras_transformer.zoo.training.fit import Fit
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training.train_recipe import train_recipe
trained = train_recipe(Recipe.from_file(sys.argv[1]), sys.argv[2])
import keras
print(json.dumps({
    "backend": keras.config.backend(),
    "jit": trained.model.jit_compile,
    "visible": [device.device_type for device in tf.config.get_visible_devices()],
    "scores": trained.scores(["an old plum", "the iron"]).tolist(),
    "metrics": trained.metrics,
}))
"""


def trained_on_jax(program, recipe, folder):
    """What a program says of the checkpoint `out` that it trains from a recipe, on JAX."""
    path, out = folder / "recipe.json", folder / "out"
    path.write_text(recipe.to_json(), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-c", program, str(path), str(out)], capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow
def test_training_on_jax(tables, tmp_path):
    recipe = tiny.recipe(
        tables, epochs=2, batch_tokens=512, bucket=16, ema=0.5, l2=1e-4, optimizer="adamw",
        weight_decay=0.01, save_every=2,
    )  # fmt: skip
    said = trained_on_jax(PROGRAM, recipe, tmp_path)
    assert (said["backend"], said["jit"], said["visible"]) == ("jax", True, ["CPU"])
    loaded = Checkpoint.load(tmp_path / "out")
    assert loaded.metrics == said["metrics"]
    scores = loaded.scores(["an old plum", "the iron"])
    np.testing.assert_allclose(scores, said["scores"], rtol=1e-4, atol=1e-5)
