import keras
import numpy as np
import pytest

from keras_transformer import FeedForward
from keras_transformer.feedforward import ACTIVATIONS
from tests import reference
from tests.keras_transformer.checks import (
    assert_close,
    built,
    check_gradients,
    check_precision,
    check_round_trip,
    normal,
    values,
)

F = 6
X = normal(2, 3, 4)
forms = pytest.mark.parametrize("gated", [False, True])


@forms
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("use_bias", [False, True])
def test_equals_the_reference(activation, gated, use_bias):
    form = {"activation": activation, "gated": gated}
    layer = built(FeedForward(F, use_bias=use_bias, **form), X)
    assert ("bias" in values(layer)["up"]) == use_bias
    assert_close(layer(X), reference.feed_forward(values(layer), X, **form))


@forms
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients(activation, gated):
    form = {"activation": activation, "gated": gated}
    layer = built(FeedForward(F, **form), X)
    check_gradients(layer, lambda w, x: reference.feed_forward(w, x, **form), X)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_far_from_zero(activation):
    x = np.concatenate([np.linspace(-30, 30, 241), [-0.0, 1e-8, -1e-8]]).astype("float32")
    found = ACTIVATIONS[activation](keras.ops.convert_to_tensor(x))
    assert_close(found, reference.ACTIVATIONS[activation](x.astype("float64")))


def test_dropout_acts_in_training_only():
    layer = built(FeedForward(F, dropout=0.5), X)
    expected = reference.feed_forward(values(layer), X)
    assert_close(layer(X, training=False), expected)
    with pytest.raises(AssertionError):
        assert_close(layer(X, training=True), expected)


@forms
def test_round_trip(tmp_path, gated):
    layer = FeedForward(
        F, gated=gated, activation="silu", use_bias=False,
        bits={"activation_bits": 8, "kernel_bits": 8},
    )
    check_round_trip(tmp_path, layer, X)


@forms
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precision(policy, gated):
    check_precision(policy, lambda **kwargs: FeedForward(F, gated=gated, **kwargs), X)


@pytest.mark.parametrize(
    ("form", "points"),
    [
        ({"activation": "relu"}, ["activation_point", "down_point"]),
        ({"activation": "gelu"}, ["activation_point", "down_point", "up_point"]),
        (
            {"activation": "relu", "gated": True},
            ["activated_gate_point", "activation_point", "down_point", "up_point"],
        ),
        (
            {"activation": "silu", "gated": True},
            ["activated_gate_point", "activation_point", "down_point", "gate_point", "up_point"],
        ),
    ],
)
def test_every_stored_tensor_has_a_point(form, points):
    layer = built(FeedForward(F, bits={"activation_bits": 8}, **form), X)
    assert sorted(name for name in values(layer) if name.endswith("point")) == points


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="gelu_tanh, silu, hard_silu, got activation='tanh'"):
        FeedForward(F, activation="tanh")
