"""Weights that a run leaves as they are, and learning rates by depth."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training.adaptation.freezing import freeze
from keras_transformer.zoo.training.adaptation.layer_rates import layer_rates
from keras_transformer.zoo.training.optimizers import make_optimizer
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny
from tests.zoo.training.test_resume import stopped_and_resumed

TABLES = ("token_embedding/", "position_embedding/", "segment_embedding/", "embedding_norm/")
TWO_BLOCKS = {**tiny.SETTINGS, "num_layers": 2}


def model_of(**changes):
    keras.utils.set_random_seed(0)
    return build(tiny.config(num_layers=2, **changes), tiny.TASK)


@pytest.mark.parametrize(
    ("patterns", "beginnings"),
    [
        ("embeddings", TABLES),
        ("embeddings, encoder/block_[0-0]", (*TABLES, "encoder/block_0/")),
        ("encoder/*/attention", ("encoder/block_0/attention/", "encoder/block_1/attention/")),
        ("token_embedding/embeddings,pooler", ("token_embedding/", "pooler/")),
        ("", ()),
    ],
)
def test_what_a_pattern_matches(patterns, beginnings):
    model = model_of()
    freeze(model, patterns)
    frozen = {weight.path for weight in model.weights if not weight.trainable}
    assert frozen == {one.path for one in model.weights if one.path.startswith(beginnings)}
    assert bool(frozen) == bool(beginnings)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ("embeddings,encoder/block_2", "'encoder/block_2' of freeze .* such as head"),
        ("Encoder/block_0", "'Encoder/block_0'"),
        ("embeddings,encoder,pooler,head", "weights that are trained, got freeze='embeddings,"),
    ],
)
def test_patterns_that_are_refused(patterns, message):
    with pytest.raises(InputError, match=message):
        freeze(model_of(), patterns)


def test_frozen_weights_stay_bit_for_bit_and_the_others_do_not(tables, tmp_path):
    """Weight decay and averages do not reach them either."""
    recipe = tiny.recipe(
        tables, settings=TWO_BLOCKS, freeze="embeddings,encoder/block_0", optimizer="adamw",
        weight_decay=0.1, ema=0.5,
    )  # fmt: skip
    trained = train_recipe(recipe, tmp_path / "out", baseline=False)
    keras.utils.set_random_seed(recipe.training.seed)
    start = get_weights(build(trained.config, trained.task))
    frozen = (*TABLES, "encoder/block_0/")
    for path, value in get_weights(trained.model).items():
        assert np.array_equal(value, start[path]) == path.startswith(frozen), path
    saved = Recipe.from_file(tmp_path / "out" / "recipe.json")
    assert saved.training.freeze == "embeddings,encoder/block_0"


@pytest.mark.slow
def test_a_run_with_frozen_parts_and_rates_by_depth_is_resumed(tables, tmp_path):
    recipe = tiny.recipe(
        tables, settings=TWO_BLOCKS, freeze="token_embedding", layer_decay=0.5, save_every=2,
        optimizer="adamw", weight_decay=0.1, epochs=2,
    )  # fmt: skip
    stopped_and_resumed(recipe, tmp_path, 0.6)


def test_rates_fall_from_the_head_to_the_embeddings():
    paths = [weight.path for weight in model_of().weights]
    rates = layer_rates(paths, 0.5)
    assert list(rates) == paths
    depths = {"head": 0, "pooler": 0, "encoder/block_1": 1, "encoder/block_0": 2}
    for path, rate in rates.items():
        known = [depth for start, depth in depths.items() if path.startswith(f"{start}/")]
        assert rate == 0.5 ** (known[0] if known else 3), path


def test_each_stack_is_counted_from_its_own_end():
    model = build(tiny.config("encoder-decoder", num_layers=2, pre_norm=True))
    rates = layer_rates([weight.path for weight in model.weights], 0.5)
    found = {path.split("/attention")[0]: rate for path, rate in rates.items()}
    assert found["encoder/block_1"] == found["decoder/block_1"] == 0.5
    assert found["encoder/block_0"] == found["decoder/block_0"] == 0.25
    assert found["decoder/final_norm/gamma"] == 1.0
    assert found["token_embedding/embeddings"] == 0.125


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "momentum"])
def test_steps_equal_those_of_an_optimizer_for_each_weight(name, tmp_path):
    """NumPy's, with the rate and the decay of each weight."""
    rng = np.random.default_rng(0)
    paths = ["token_embedding/embeddings", "encoder/block_0/up/kernel", "head/kernel", "head/bias"]
    factors = [0.25, 0.5, 1.0, 1.0]
    start = [rng.standard_normal(3).astype("float32") for _ in paths]
    variables = []
    for path, value in zip(paths, start, strict=True):
        *scopes, last = path.split("/")
        with contextlib.ExitStack() as stack:
            for scope in scopes:
                stack.enter_context(keras.name_scope(scope))
            variables.append(keras.Variable(value, name=last))
    assert [one.path for one in variables] == paths
    decay = 0.1 if name == "adamw" else 0.0
    recipe = tiny.recipe(
        tmp_path, optimizer=name, learning_rate=0.1, schedule="constant", warmup=0.0,
        weight_decay=decay, layer_decay=0.5, clip_norm=0.0,
    )  # fmt: skip
    optimizer = make_optimizer(recipe, 10, paths)
    again = type(optimizer).from_config(optimizer.get_config())
    again.build(variables)
    assert again.factors == factors

    optimizer.build(variables)
    expected = [value.astype("float64") for value in start]
    first, second = [0.0] * 4, [0.0] * 4
    for step in range(1, 4):
        gradients = [rng.standard_normal(3).astype("float32") for _ in paths]
        optimizer.apply([ops.convert_to_tensor(one) for one in gradients], variables)
        for i, gradient in enumerate(gradients):
            rate = 0.1 * factors[i]
            if not paths[i].endswith("bias"):
                expected[i] = expected[i] * (1 - rate * decay)
            if name.startswith("adam"):
                first[i] = 0.9 * first[i] + 0.1 * gradient
                second[i] = 0.999 * second[i] + 0.001 * gradient**2
                mean = first[i] / (1 - 0.9**step)
                expected[i] -= rate * mean / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-7)
            else:
                first[i] = (0.9 if name == "momentum" else 0.0) * first[i] - rate * gradient
                expected[i] += first[i]
    for variable, value, path in zip(variables, expected, paths, strict=True):
        # Float32 against float64, over three steps.
        np.testing.assert_allclose(
            ops.convert_to_numpy(variable.value), value, rtol=1e-4, atol=1e-6, err_msg=path
        )


@pytest.mark.parametrize("decay", [1.1, 0.0])
def test_impossible_layer_decays(tmp_path, decay):
    with pytest.raises(InputError, match=f"layer_decay={decay}"):
        tiny.recipe(tmp_path, layer_decay=decay)
