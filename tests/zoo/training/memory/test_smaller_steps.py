"""Runs whose steps need less memory learn what others do, and do need less on JAX."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.training.fine_tune import Retraining
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.slow import mostly_slow
from tests.zoo import tiny

PROGRAM = """
import json, sys
import keras, numpy as np
from keras_transformer.zoo.distributed.step import KeptStep
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.training.memory.chunked_learner import ChunkedLearner
from keras_transformer.zoo.training.memory.remat import rematerialize
from tests.zoo import tiny

def step(vocab_size, length, num_layers, loss_chunk=0, remat=False):
    keras.utils.set_random_seed(0)
    task = LanguageModeling()
    config = tiny.config("decoder", vocab_size=vocab_size, max_length=length, num_layers=num_layers,
                         dropout=0.1, attention_dropout=0.1)
    model = build(config, task)
    rematerialize(model, remat)
    learner = ChunkedLearner(model, loss_chunk) if loss_chunk else model
    learner.compile(optimizer=keras.optimizers.SGD(1.0), loss=task.loss(0.1), jit_compile=True)
    learner.optimizer.build(learner.trainable_variables)
    return model, KeptStep(learner)

def learned(**options):
    ids = np.random.default_rng(0).integers(5, options["vocab_size"], (4, options["length"] + 1))
    ids = ids.astype("int32")
    model, kept = step(**options)
    batch = {"ids": ids[:, :-1]}, ids[:, 1:]
    compiled = kept.compiled(*batch)
    _, arguments = kept._call(*batch)
    _, kept._state = compiled(*arguments)
    kept.settle()
    memory = compiled.memory_analysis().temp_size_in_bytes
    # A constant added to all keys of a query changes nothing, and has no gradient but rounding.
    weights = [one for one in model.weights if not one.path.endswith("key/bias")]
    return memory, [np.asarray(weight.value) for weight in weights]

said = {}
large = {"vocab_size": 20000, "length": 32, "num_layers": 1}
long = {"vocab_size": 20, "length": 128, "num_layers": 8}
cases = ("chunk", large, {"loss_chunk": 16}), ("remat", long, {"remat": True})
for name, sizes, options in cases:
    before, expected = learned(**sizes)
    after, found = learned(**sizes, **options)
    off = [np.abs(one - other).max() / np.abs(other).max()
           for one, other in zip(found, expected) if other.any()]
    said[name] = [before, after, float(max(off))]
print(json.dumps(said))
"""


def masked_recipe(folder, **changes):
    values = {
        "model": "bert_tiny", "train": str(folder / "text.txt"), "vocab_size": 60,
        "validation": str(folder / "text_validation.txt"), "max_length": 16, "batch_tokens": 256,
        "learning_rate": 0.01, "epochs": 2,
    }  # fmt: skip
    return Recipe.of_task(TASKS["masked-language-modeling"], **{**values, **changes})


RECIPES = {
    "writer": tiny.language_recipe, "translator": tiny.translation_recipe, "masked": masked_recipe,
    "classifier": tiny.recipe,
}  # fmt: skip
SETTINGS = tiny.SETTINGS | {"dropout": 0.1}


@pytest.mark.parametrize(
    ("kind", "options"),
    mostly_slow(
        [(kind, {"loss_chunk": 40}) for kind in ("writer", "translator", "masked")]
        + [(kind, {"remat": True}) for kind in RECIPES]
        + [("translator", {"loss_chunk": 40, "remat": True})],
        [("translator", {"loss_chunk": 40, "remat": True})],
    ),
)
def test_smaller_steps_learn_what_others_do(kind, options, tables, tmp_path):
    plain = train_recipe(RECIPES[kind](tables, settings=SETTINGS))
    smaller = train_recipe(
        RECIPES[kind](tables, settings=SETTINGS, **options), tmp_path / "out"
    )
    expected = get_weights(plain.model)
    for path, value in get_weights(smaller.model).items():
        # A constant added to all keys of a query changes nothing, and has no gradient but rounding.
        if not path.endswith("key/bias"):
            np.testing.assert_allclose(value, expected[path], atol=2e-5, err_msg=path)


@pytest.mark.slow
def test_steps_on_jax_need_less_memory():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout.splitlines()[-1])
    for before, after, off in said.values():
        assert after < 0.6 * before, said
        assert off < 1e-4, said


def test_a_loss_in_chunks_needs_a_vocabulary(tables):
    with pytest.raises(InputError, match="vocabulary, got loss_chunk=8 for classification"):
        train_recipe(tiny.recipe(tables, loss_chunk=8))
    with pytest.raises(InputError, match="0 for objective=replaced, got loss_chunk=8"):
        train_recipe(masked_recipe(tables, loss_chunk=8, objective="replaced"))


def test_models_that_are_trained_on_have_ordinary_steps(learned):
    _, trained = learned
    for options in ({"loss_chunk": 8}, {"remat": True}):
        with pytest.raises(InputError, match="that is trained on, got"):
            Retraining(checkpoint=trained, recipe=trained.recipe.replace(**options), out=None)
