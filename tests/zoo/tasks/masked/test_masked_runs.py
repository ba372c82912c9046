"""Runs of masked language modeling that are resumed, and on JAX."""


import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.recipe import Recipe
from tests.masking import SETTINGS, lines
from tests.zoo.training.test_jax import trained_on_jax
from tests.zoo.training.test_resume import stopped_and_resumed

PROGRAM = """
import json, sys
import keras
import keras_transformer as kt
from keras_transformer.zoo.recipe import Recipe
trained = kt.train(Recipe.from_file(sys.argv[1]), out=sys.argv[2])
metrics = trained.metrics["validation"]
print(json.dumps({"backend": keras.config.backend(), "loss": metrics["loss"]}))
"""


def recipe(folder, objective, **options):
    for name, seed in (("train", 0), ("dev", 1)):
        (folder / f"{name}.txt").write_text("\n".join(lines(60, seed)), encoding="utf-8")
    task = kt.MaskedLanguageModeling(objective=objective, mask_share=0.2)
    return Recipe.of_task(
        task, **task.options(), model="bert_tiny", train=str(folder / "train.txt"),
        validation=str(folder / "dev.txt"), settings=SETTINGS, max_length=12, vocab_size=60,
        batch_tokens=128, **options,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["masked", "replaced"])
def test_a_run_is_resumed(objective, tmp_path):
    """The generator's weights, its optimizer's state and what it draws are among the states."""
    unbroken = stopped_and_resumed(
        recipe(tmp_path, objective, epochs=3, save_every=2), tmp_path, 0.7
    )
    assert len(unbroken.epochs) == 3


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["masked", "replaced"])
def test_training_on_jax(objective, tmp_path):
    given = recipe(tmp_path, objective, epochs=3, learning_rate=1e-2)
    said = trained_on_jax(PROGRAM, given, tmp_path)
    assert said["backend"] == "jax"
    found = kt.load(tmp_path / "out").evaluate(lines(60, 1))
    np.testing.assert_allclose(found["loss"], said["loss"], rtol=1e-4)
