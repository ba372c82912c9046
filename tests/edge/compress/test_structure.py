import re

import numpy as np
import pytest

from keras_transformer.edge.compress.importance import head_and_neuron_importance
from keras_transformer.edge.compress.structure import (
    Importance,
    most_important,
    narrowed,
    shortened,
    smaller,
)
from keras_transformer.zoo.data.batches import Batch
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from tests import reference
from tests.slow import mostly_slow
from tests.zoo import tiny

NEURONS, HEADS, LAYERS = 12, 4, 3
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
FORMS = {
    "encoder": ("encoder", {}),
    "gated_encoder": ("encoder", {"gated": True, "positions": "rotary", "pooling": "mean"}),
    "decoder": ("decoder", {"activation": "gelu_tanh", "use_bias": False}),
    "grouped_decoder": (
        "decoder",
        {"num_key_value_heads": 2, "positions": "rotary", "gated": True, "norm": "rms_norm"},
    ),
    "one_key_encoder": ("encoder", {"num_key_value_heads": 1}),
    "translator": ("encoder-decoder", {"positions": "sinusoidal", "activation": "relu"}),
    "t5_translator": ("encoder-decoder", {"positions": "t5", "num_key_value_heads": 4}),
    "untied_t5_bias": (
        "decoder", {"position_bias": "t5", "tied_head": False, "qkv_bias": True, "use_bias": False},
    ),
    "grouped_t5": ("encoder-decoder", {"positions": "t5", "num_key_value_heads": 2}),
}
forms = pytest.mark.parametrize("form", FORMS)
some_forms = pytest.mark.parametrize(
    "form", mostly_slow(FORMS, ["gated_encoder", "grouped_decoder", "t5_translator"])
)


def model_of(form, **changes):
    """A model with weights that all show in the outputs, and what trains it."""
    architecture, own = FORMS[form]
    config = tiny.config(
        architecture, num_layers=LAYERS, num_heads=HEADS, intermediate_dim=NEURONS,
        pre_norm=True, num_segments=0, **own, **changes,
    )  # fmt: skip
    task = tiny.TASK if architecture == "encoder" else LanguageModeling()
    model = build(config, task if architecture == "encoder" else None)
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        start = float(variable.path.endswith("gamma"))
        variable.assign(start + 0.3 * rng.normal(size=variable.shape))
    return model, config, task


class Given:
    """Batches of rows drawn at random, as the data of a run."""

    def __init__(self, config, task, count=2, rows=3):
        rng = np.random.default_rng(0)
        self.batches = []
        for _ in range(count):
            ids = rng.integers(1, 20, (rows, 7)).astype("int32")
            ids[0, 5:] = 0
            inputs = {"ids": ids}
            if config.architecture == "encoder-decoder":
                inputs["source_ids"] = rng.integers(1, 20, (rows, 6)).astype("int32")
            targets = np.roll(ids, -1, 1) if task.generates else np.arange(rows, dtype="int32") % 2
            self.batches.append(Batch(inputs=inputs, targets=targets, index=np.arange(rows)))

    def epoch(self, number):
        return iter(self.batches)


def outputs(model, data):
    return np.concatenate([np.asarray(model(batch.inputs)) for batch in data.batches])


def without_effect(weights, config, heads, neurons):
    """The weights with all but some heads and neurons switched off where they come out.

    What stays is drawn at random: of each group of heads as many, and in the blocks of a stack the
    same where they share a bias of positions.
    """
    rng = np.random.default_rng(1)
    groups = config.num_key_value_heads or 1
    groups = 1 if groups == config.num_heads else groups
    result, shared = dict(weights), {}
    for path, value in weights.items():
        if path.endswith("/output/kernel"):
            size = config.num_heads // groups
            off = np.concatenate([
                group * size + rng.permutation(size)[heads // groups :] for group in range(groups)
            ])  # fmt: skip
            if config.score_bias == "t5" and "cross" not in path:
                off = shared.setdefault(path.split("/")[0], off)
            by_head = value.reshape(config.num_heads, config.head_width, -1).copy()
            by_head[off] = 0
            result[path] = by_head.reshape(value.shape)
        elif path.endswith("/down/kernel"):
            off = rng.permutation(config.intermediate_dim)[neurons:]
            result[path] = value.copy()
            result[path][off] = 0
    return result


@some_forms
def test_what_adds_nothing_can_be_left_out(form):
    model, config, task = model_of(form)
    heads, neurons = 2, 5
    set_weights(model, without_effect(get_weights(model), config, heads, neurons))
    data = Given(config, task)
    importance = head_and_neuron_importance(model, task.loss(), data)
    new, weights = narrowed(
        config, get_weights(model), importance, heads=heads, neurons=neurons
    )
    assert (new.num_heads, new.head_width, new.intermediate_dim) == (heads, 4, neurons)
    small = build(new, task if config.architecture == "encoder" else None)
    set_weights(small, weights)
    assert small.count_params() < model.count_params()
    np.testing.assert_allclose(outputs(small, data), outputs(model, data), **TOLERANCE)


@pytest.mark.parametrize("form", ["encoder", "grouped_decoder", "translator"])
def test_blocks_that_add_nothing_can_be_left_out(form):
    model, config, task = model_of(form)
    weights = get_weights(model)
    for stack, number in (("encoder", 1), ("decoder", 2)):
        for path in weights:
            if re.match(f"{stack}/block_{number}/.*/(output|down)/", path):
                weights[path] = np.zeros_like(weights[path])
    set_weights(model, weights)
    data = Given(config, task)
    new, fewer = shortened(config, weights, {"encoder": [2, 0], "decoder": [0, 1]})
    small = build(new, task if config.architecture == "encoder" else None)
    set_weights(small, fewer)
    assert new == config.replace(num_layers=LAYERS - 1)
    np.testing.assert_allclose(outputs(small, data), outputs(model, data), **TOLERANCE)


def test_shared_blocks_run_fewer_times():
    config = tiny.config(share_layers=True, num_layers=3)
    weights = get_weights(build(config, tiny.TASK))
    new, fewer = shortened(config, weights, {"encoder": [1, 2]})
    assert new == config.replace(num_layers=2)
    set_weights(build(new, tiny.TASK), fewer)


def test_the_shrunk_attention_and_feed_forward_are_the_references():
    """By NumPy: the layers of a narrowed block compute what the kept heads and neurons did."""
    model, config, task = model_of("encoder")
    place, weights = "encoder/block_0", get_weights(model)
    rng = np.random.default_rng(5)
    importance = Importance(
        heads={f"encoder/block_{i}/attention/sublayer": rng.random(HEADS) for i in range(LAYERS)},
        neurons={
            f"encoder/block_{i}/feed_forward/sublayer": rng.random(NEURONS) for i in range(LAYERS)
        },
    )
    new, fewer = narrowed(config, weights, importance, heads=3, neurons=7)

    def nested(weights, layer):
        parts = {}
        for path, value in weights.items():
            if path.startswith(f"{place}/{layer}/sublayer/"):
                projection, name = path.split("/")[-2:]
                parts.setdefault(projection, {})[name] = value.astype("float64")
        return parts

    x = rng.normal(size=(2, 5, config.hidden_dim))
    scores = importance.heads[f"{place}/attention/sublayer"]
    whole = nested(weights, "attention")
    by_head = whole["output"]["kernel"].reshape(HEADS, config.head_width, -1)
    by_head[scores.argmin()] = 0
    expected = reference.attention(whole, x, num_heads=HEADS)[0]
    actual = reference.attention(nested(fewer, "attention"), x, num_heads=3)[0]
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    whole = nested(weights, "feed_forward")
    off = np.argsort(importance.neurons[f"{place}/feed_forward/sublayer"])[: NEURONS - 7]
    whole["down"]["kernel"][off] = 0
    expected = reference.feed_forward(whole, x)
    actual = reference.feed_forward(nested(fewer, "feed_forward"), x)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    assert new.num_heads == 3


def test_the_most_important_of_each_group():
    scores = np.array([3.0, 9.0, 1.0, 8.0, 5.0, 7.0])
    np.testing.assert_array_equal(most_important(scores, 3), [1, 3, 5])
    np.testing.assert_array_equal(most_important(scores, 4, groups=2), [0, 1, 3, 5])
    np.testing.assert_array_equal(most_important(np.zeros(4), 2), [0, 1])


def test_sizes_and_their_key_value_heads():
    config = tiny.config(num_heads=4, num_key_value_heads=4, num_layers=2)
    assert smaller(config) == config == smaller(config, heads=4)
    assert smaller(config, heads=3) == config.replace(
        num_heads=3, head_dim=4, num_key_value_heads=3
    )
    grouped = config.replace(num_heads=8, num_key_value_heads=2)
    assert smaller(grouped, heads=4, layers=1) == grouped.replace(
        num_heads=4, head_dim=2, num_layers=1
    )


@pytest.mark.parametrize(
    ("changes", "asked", "message"),
    [
        ({}, {"heads": 5}, "Expected heads to be from 1 to the model's 4, got heads=5."),
        ({}, {"neurons": 0}, "Expected neurons to be from 1 to the model's 32, got neurons=0."),
        ({}, {"layers": 2}, "Expected layers to be from 1 to the model's 1, got layers=2."),
        (
            {"num_key_value_heads": 2},
            {"heads": 3},
            "Expected heads to be a multiple of the model's 2 key-value heads, got heads=3.",
        ),
        (
            {"positions": "alibi"},
            {"heads": 2},
            "Expected all heads to stay in a model with alibi positions, whose slopes follow from "
            "their number, got heads=2; give neurons or layers.",
        ),
        (
            {"share_layers": True},
            {"heads": 2, "layers": 1},
            "Expected all heads and neurons to stay in a model whose blocks share their weights, "
            "got heads=2, neurons=None; give layers.",
        ),
        (
            {"num_layers": 2, "encoder_layers": 3, "architecture": "encoder-decoder"},
            {"layers": 1},
            "Expected all layers to stay in a model whose encoder has another number of them, got "
            "layers=1; give heads or neurons.",
        ),
        *(
            (
                {"num_layers": 2, **several},
                {"layers": 1},
                "Expected all layers to stay in a model whose layers are of several kinds, got "
                "layers=1; give heads or neurons.",
            )
            for several in (
                {"window": 3, "layer_pattern": "GL"},
                {"pre_norm": True, "first_norm": False},
            )
        ),
    ],
)
def test_impossible_sizes(changes, asked, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        smaller(tiny.config(num_heads=4, **changes), **asked)
