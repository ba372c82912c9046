"""Adapters: what is trained, and that the merged model computes the same."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_transformer.adapters import LowRankAdapter
from keras_transformer.quantization import Projection
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.pretrained.load import load_pretrained
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training.adaptation.lora import (
    adapted,
    add_adapters,
    merged_weights,
    projections_of,
)
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny
from tests.zoo.training.test_fine_tuning import BERT, fine_tuned, write_words
from tests.zoo.training.test_resume import stopped_and_resumed

CONFIGS = {
    "encoder": tiny.config(num_layers=2),
    "decoder": tiny.config("decoder", gated=True),
    "encoder-decoder": tiny.config("encoder-decoder"),
}
IDS = np.array([[5, 6, 7, 8, 0, 0], [9, 10, 11, 12, 13, 14]], "int32")


def adapted_model(name, rank=3):
    keras.utils.set_random_seed(0)
    head = tiny.TASK if name == "encoder" else None
    model = build(CONFIGS[name], head)
    plain = build(CONFIGS[name], head)
    add_adapters(model, rank)
    set_weights(plain, merged_weights(model))
    return model, plain


def outputs(model):
    names = [one.name for one in model.inputs]
    return ops.convert_to_numpy(model({name: IDS for name in names}))


@pytest.mark.parametrize("name", CONFIGS)
def test_merged_weights_give_the_same_outputs(name):
    model, plain = adapted_model(name)
    before = outputs(model)
    # Zero at first: nothing is changed.
    np.testing.assert_array_equal(before, outputs(plain))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith("adapter/up"):
            weight.assign(rng.standard_normal(weight.shape))
    after = outputs(model)
    assert np.abs(after - before).max() > 0.01
    set_weights(plain, merged_weights(model))
    np.testing.assert_allclose(outputs(plain), after, atol=1e-5 * np.abs(after).max())


@pytest.mark.parametrize("name", CONFIGS)
def test_only_adapters_and_the_head_are_trained(name):
    model, _ = adapted_model(name)
    projections = adapted(model)
    trained = {weight.path for weight in model.trainable_weights}
    expected = {
        f"{one.path}/adapter/{factor}" for one in projections for factor in ("down", "up")
    }
    heads = {"head/kernel", "head/bias", "pooler/kernel", "pooler/bias"}
    assert trained == expected | (heads if name == "encoder" else set())
    # Query, key, value, output; up, down, perhaps a gate; and cross-attention.
    assert len(projections) == {"encoder": 12, "decoder": 7, "encoder-decoder": 16}[name]


def test_an_adapter_is_beside_the_kernel_and_under_the_factor():
    layer = Projection(4, factor=0.5)
    x = np.random.default_rng(0).standard_normal((2, 3)).astype("float32")
    layer(x)
    layer.adapt(LowRankAdapter(4, 2, factor=3.0))
    rng = np.random.default_rng(1)
    down, up = rng.standard_normal((3, 2)), rng.standard_normal((2, 4))
    layer.adapter.down.assign(down)
    layer.adapter.up.assign(up)
    kernel = ops.convert_to_numpy(layer.kernel.value)
    expected = 0.5 * (x @ kernel + 3.0 * (x @ down @ up))
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=1e-5, atol=1e-6)
    assert len(layer.weights) == 4


def test_an_adapter_needs_a_rank():
    with pytest.raises(ValueError, match="rank=0"):
        LowRankAdapter(4, 0)


@pytest.mark.parametrize(
    ("layers", "count"),
    [
        ("*", 16),
        ("query,value", 6),
        ("encoder/*/query , decoder/block_0/cross_attention", 5),
        ("feed_forward,cross_attention/sublayer/ke[xy]", 5),
        ("block_0/feed_forward", 4),
    ],
)
def test_patterns_of_layers(layers, count):
    model = build(CONFIGS["encoder-decoder"])
    paths = [one.path for one in projections_of(model)]
    add_adapters(model, 3, layers)
    found = [one.path for one in adapted(model)]
    assert found == [path for path in paths if path in found] and len(found) == count
    names = {
        f"{path}/adapter/{factor}" for path in found for factor in ("down", "up")
    }  # fmt: skip
    assert {weight.path for weight in model.trainable_weights} == names
    assert set(merged_weights(model)) == set(get_weights(build(CONFIGS["encoder-decoder"])))


@pytest.mark.parametrize(
    ("layers", "shown"),
    [("query,gate", "'gate'"), ("", "''"), (",", "','"), ("head", "'head'"), ("uery", "'uery'")],
)
def test_patterns_that_match_nothing(layers, shown):
    with pytest.raises(InputError, match=f"the pattern {shown} of lora_layers .* encoder/block_."):
        add_adapters(build(CONFIGS["encoder"], tiny.TASK), 3, layers)


def test_ranks_that_are_too_large():
    with pytest.raises(InputError, match="below 16, .* got lora=16"):
        add_adapters(build(CONFIGS["encoder"], tiny.TASK), 16)


def test_adapters_need_published_weights(tables):
    with pytest.raises(InputError, match="from nothing, got lora=2"):
        train_recipe(tiny.recipe(tables, lora=2))


@pytest.mark.slow
def test_a_fine_tuned_checkpoint_is_a_plain_one(tmp_path):
    write_words(tmp_path)
    trained, heard = fine_tuned(tmp_path, epochs=2, lora=2, max_length=12)
    assert any("learning_rate 0.001," in note for note in heard.notes)
    weights = get_weights(trained.model)
    assert not [path for path in weights if "adapter" in path]
    start = load_pretrained(BERT).build(trained.task)
    for path, value in get_weights(start).items():
        same = np.array_equal(weights[path], value)
        in_block_kernel = path.startswith("encoder/") and path.endswith("kernel")
        if not path.startswith(("head/", "pooler/")):
            assert same != in_block_kernel, path
    loaded = Checkpoint.load(tmp_path / "out")
    tiny.assert_same_weights(get_weights(loaded.model), weights)
    recorded = Recipe.from_file(tmp_path / "out" / "recipe.json").training
    assert (recorded.lora, recorded.lora_layers) == (2, "*")


@pytest.mark.slow
def test_a_run_with_adapters_is_resumed(tmp_path):
    write_words(tmp_path)
    trained, _ = fine_tuned(tmp_path, epochs=3, lora=2, save_every=2, batch_tokens=60)
    stopped_and_resumed(trained.recipe, tmp_path / "again", 0.6)
