"""Trained models as Keras' own files: the optimizer, its state and its schedule come back too."""

import subprocess
import sys

import numpy as np
import pytest
from keras import ops

from keras_transformer.zoo.models.build import build, get_weights
from keras_transformer.zoo.models.catalog import CATALOG
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.tasks.translation import Translation
from keras_transformer.zoo.training.keras_file import load_model
from keras_transformer.zoo.training.optimizers import make_optimizer
from tests.slow import mostly_slow
from tests.zoo import tiny

CLASSES = Classification(labels=("a", "b", "c"))
KINDS = {
    "bert_tiny": CLASSES, "gpt_nano": LanguageModeling(),
    "llama_nano": LanguageModeling(), "transformer_tiny": Translation(),
}  # fmt: skip
TOTAL = 10


def model_of(name, **kwargs):
    config = CATALOG[name].replace(
        vocab_size=20, max_length=16, hidden_dim=16, intermediate_dim=24, num_layers=1, num_heads=2,
        num_key_value_heads=0, dropout=0.0, attention_dropout=0.0,
    )  # fmt: skip
    return build(config, KINDS[name] if name == "bert_tiny" else None, **kwargs)


def batch_of(model, seed):
    rng = np.random.default_rng(seed)
    inputs = {x.name: rng.integers(1, 20, (4, 6)).astype("int32") for x in model.inputs}
    targets = rng.integers(0, 3, 4) if model.name == "encoder_model" else inputs["ids"][:, ::-1]
    return inputs, np.ascontiguousarray(targets).astype("int32")


def compiled(model, recipe, task):
    model.compile(optimizer=make_optimizer(recipe, TOTAL), loss=task.loss(0.1), jit_compile=False)
    return model


def trained(model, steps):
    return [float(model.train_on_batch(*batch_of(model, seed))) for seed in steps]


def reloaded(model, folder):
    model.save(folder / "m.keras")
    return load_model(folder / "m.keras")


def assert_goes_on_the_same(model, loaded):
    """The same next steps: weights, the optimizer's state and the learning rate."""
    for one, other in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (other.value, one.value)))
    assert float(loaded.optimizer.learning_rate) == float(model.optimizer.learning_rate)
    np.testing.assert_allclose(trained(loaded, (3, 4)), trained(model, (3, 4)), rtol=1e-5)
    for path, value in get_weights(model).items():
        np.testing.assert_allclose(get_weights(loaded)[path], value, atol=1e-6, err_msg=path)


@pytest.mark.parametrize("name", mostly_slow(KINDS, ["bert_tiny"]))
def test_a_trained_model_comes_back(tmp_path, tables, name):
    recipe = tiny.recipe(tables, optimizer="adamw", weight_decay=0.5, ema=0.9)
    model = compiled(model_of(name), recipe, KINDS[name])
    trained(model, range(3))
    loaded = reloaded(model, tmp_path)
    inputs, _ = batch_of(model, 9)
    np.testing.assert_array_equal(*(ops.convert_to_numpy(m(inputs)) for m in (loaded, model)))
    assert_goes_on_the_same(model, loaded)


@pytest.mark.parametrize("optimizer", mostly_slow(["adam", "sgd", "momentum"], ["momentum"]))
def test_every_optimizer_comes_back(tmp_path, tables, optimizer):
    model = compiled(model_of("bert_tiny"), tiny.recipe(tables, optimizer=optimizer), CLASSES)
    trained(model, range(3))
    assert_goes_on_the_same(model, reloaded(model, tmp_path))


@pytest.mark.slow
def test_a_new_process_loads_it_with_nothing_but_an_import(tmp_path, tables):
    model = compiled(model_of("gpt_nano"), tiny.recipe(tables), KINDS["gpt_nano"])
    trained(model, range(1))
    model.save(tmp_path / "m.keras")
    program = (
        "import keras, keras_transformer.zoo.training.keras_file\n"
        "model = keras.models.load_model('m.keras')\n"
        "print(type(model.optimizer).__name__, model.optimizer.iterations.numpy())\n"
    )
    command = [sys.executable, "-c", program]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert finished.stdout == f"{type(model.optimizer).__name__} 1\n", finished.stderr[-2000:]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*none.keras"):
        load_model(tmp_path / "none.keras")
