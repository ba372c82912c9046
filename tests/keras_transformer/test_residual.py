import keras
import numpy as np
import pytest

from keras_transformer import FeedForward, MultiHeadAttention, Residual
from tests import reference
from tests.keras_transformer.checks import (
    assert_close,
    built,
    check_gradients,
    check_precision,
    check_round_trip,
    normal,
    random_mask,
    values,
)

X = normal(2, 3, 4)
forms = pytest.mark.parametrize(
    "form",
    [
        {"pre_norm": pre_norm, "norm": norm}
        for pre_norm in (False, True)
        for norm in ("layer_norm", "rms_norm")
    ],
    ids=lambda form: f"{'pre' if form['pre_norm'] else 'post'}_{form['norm']}",
)


def feed_forward_residual(**kwargs):
    dtype = {"dtype": kwargs["dtype"]} if "dtype" in kwargs else {}
    return Residual(FeedForward(6, name="sublayer", **dtype), **kwargs)


def expected(w, x, **form):
    return reference.residual(w, x, lambda y: reference.feed_forward(w["sublayer"], y), **form)


@forms
def test_equals_the_reference(form):
    layer = built(feed_forward_residual(epsilon=0.01, **form), X)
    assert_close(layer(X), expected(values(layer), X, epsilon=0.01, **form))


@forms
def test_gradients(form):
    layer = built(feed_forward_residual(**form), X)
    check_gradients(layer, lambda w, x: expected(w, x, **form), X)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_further_tensors_reach_the_sublayer_and_further_outputs_return(pre_norm):
    memory, mask = normal(2, 5, 3, seed=1), random_mask(2, 5)
    layer = Residual(MultiHeadAttention(2, name="sublayer"), pre_norm=pre_norm)
    built(layer, X, memory=memory)
    output, scores = layer(X, memory=memory, mask=mask, return_scores=True)
    w, seen = values(layer), []

    def sublayer(y):
        allowed = reference.over_heads(mask)
        attended = reference.attention(w["sublayer"], y, memory, num_heads=2, allowed=allowed)
        seen.append(attended[1])
        return attended[0]

    assert_close(output, reference.residual(w, X, sublayer, pre_norm=pre_norm))
    assert_close(scores, seen[0])


def test_dropout_acts_on_the_sublayer_in_training_only():
    layer = built(feed_forward_residual(dropout=0.999999, pre_norm=True), X)
    assert_close(layer(X, training=True), X)
    assert_close(layer(X, training=False), expected(values(layer), X, pre_norm=True))


@forms
def test_round_trip(tmp_path, form):
    layer = feed_forward_residual(bits={"activation_bits": 8}, epsilon=0.1, **form)
    check_round_trip(tmp_path, layer, X)


def test_one_configuration_makes_many_layers():
    layer = feed_forward_residual(pre_norm=True, dropout=0.1, norm="rms_norm")
    config = layer.get_config()
    first, second = Residual.from_config(config), Residual.from_config(config)
    assert keras.tree.map_structure(str, first.get_config()) == keras.tree.map_structure(
        str, second.get_config()
    )
    assert first.sublayer is not second.sublayer


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precision(policy):
    check_precision(policy, feed_forward_residual, X)
    check_precision(policy, lambda **kwargs: feed_forward_residual(pre_norm=True, **kwargs), X)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="got norm='none'"):
        feed_forward_residual(norm="none")


def test_masked_tokens_stay_their_own():
    changed = X.copy()
    changed[:, 1] += 1.0
    layer = built(feed_forward_residual(), X)
    before, after = (keras.ops.convert_to_numpy(layer(x)) for x in (X, changed))
    np.testing.assert_array_equal(before[:, [0, 2]], after[:, [0, 2]])
