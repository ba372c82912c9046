import keras
import numpy as np
import pytest

from keras_transformer import DecoderBlock, EncoderBlock
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

B, T, S, D, H, F = 2, 4, 5, 8, 4, 6
X, MEMORY = normal(B, T, D), normal(B, S, D - 2, seed=1)
MASK, MEMORY_MASK = random_mask(B, T), random_mask(B, S, seed=1)
FORMS = {
    "post_norm": {},
    "pre_norm": {"pre_norm": True, "epsilon": 0.01},
    "llama": {
        "pre_norm": True, "norm": "rms_norm", "gated": True, "activation": "silu",
        "num_key_value_heads": 2, "rotary": True, "use_bias": False,
    },
}  # fmt: skip
forms = pytest.mark.parametrize("form", FORMS)


def expected(w, x, memory=None, **kwargs):
    form = {name: value for name, value in kwargs.items() if name != "use_bias"}
    return reference.block(w, x, memory, num_heads=H, **form)


@forms
@pytest.mark.parametrize("masked", [False, True])
def test_encoder_block_equals_the_reference(form, masked):
    form = FORMS[form]
    layer = built(EncoderBlock(H, F, **form), X)
    mask, bias = (MASK, normal(1, H, T, T, seed=2)) if masked else (None, None)
    allowed, added = (reference.over_heads(MASK), bias) if masked else (True, 0.0)
    assert_close(
        layer(X, mask=mask, bias=bias),
        expected(values(layer), X, allowed=allowed, bias=added, **form),
    )


@forms
def test_decoder_block_equals_the_reference(form):
    form = FORMS[form]
    layer = built(DecoderBlock(H, F, cross_attention=True, **form), X, MEMORY)
    allowed = reference.causal(T) & reference.over_heads(MASK)
    memory_allowed = reference.over_heads(MEMORY_MASK)
    outputs = layer(X, MEMORY, mask=MASK, memory_mask=MEMORY_MASK)
    w = values(layer)
    assert_close(
        outputs, expected(w, X, MEMORY, allowed=allowed, memory_allowed=memory_allowed, **form)
    )
    low = np.where(MEMORY_MASK, 0.0, -3e4)[:, None, None]
    assert_close(layer(X, MEMORY, mask=MASK, memory_bias=low.astype("float32")),
                 keras.ops.convert_to_numpy(outputs))  # fmt: skip


def test_decoder_block_without_a_memory():
    layer = built(DecoderBlock(H, F), X)
    assert_close(layer(X), expected(values(layer), X, allowed=reference.causal(T)))


def test_gradients_of_the_encoder_block():
    x = normal(1, 3, 4)
    layer = built(EncoderBlock(2, 3, rotary=True), x)
    check_gradients(layer, lambda w, x: reference.block(w, x, num_heads=2, rotary=True), x)


def test_gradients_of_the_decoder_block():
    x, memory = normal(1, 3, 4), normal(1, 2, 3, seed=1)
    layer = built(DecoderBlock(2, 3, cross_attention=True, pre_norm=True), x, memory)

    def function(w, x, memory):
        allowed = reference.causal(3)
        return reference.block(w, x, memory, num_heads=2, allowed=allowed, pre_norm=True)

    check_gradients(layer, function, x, memory)


@forms
def test_cached_steps_equal_one_pass(form):
    form = FORMS[form]
    layer = built(DecoderBlock(H, F, cross_attention=True, **form), X, MEMORY)
    outputs = keras.ops.convert_to_numpy(layer(X, MEMORY, mask=MASK, memory_mask=MEMORY_MASK))
    shape = (B, T, form.get("num_key_value_heads", H), D // H)
    cache = (np.zeros(shape, "float32"), np.zeros(shape, "float32"))
    memory_cache = layer.project_memory(keras.ops.convert_to_tensor(MEMORY))
    for t in range(T):
        step, cache = layer(
            X[:, t : t + 1], mask=MASK, cache=cache, cache_index=t, memory_cache=memory_cache,
            memory_mask=MEMORY_MASK,
        )  # fmt: skip
        assert_close(step, outputs[:, t : t + 1])


def test_weights_stand_under_the_names_of_their_places():
    layer = built(DecoderBlock(H, F, cross_attention=True, name="block"), X, MEMORY)
    places = {weight.path.rsplit("/", 1)[0] for weight in layer.weights}
    attention = ["sublayer/query", "sublayer/key", "sublayer/value", "sublayer/output", "norm"]
    assert places == {
        *(f"block/attention/{name}" for name in attention),
        *(f"block/cross_attention/{name}" for name in attention),
        *(f"block/feed_forward/{name}" for name in ("sublayer/up", "sublayer/down", "norm")),
    }


@forms
def test_a_float_block_has_a_subset_of_the_quantized_weights(form):
    def paths(bits=None):
        layer = DecoderBlock(H, F, cross_attention=True, name="block", **FORMS[form], bits=bits)
        return {weight.path for weight in built(layer, X, MEMORY).weights}

    quantized = paths({"activation_bits": 8, "kernel_bits": 8})
    assert paths() == {path for path in quantized if "/range_" not in path}
    assert any("/range_" in path for path in quantized)


def test_round_trip_of_the_encoder_block(tmp_path):
    layer = EncoderBlock(H, F, bits={"activation_bits": 8, "kernel_bits": 8}, **FORMS["llama"])
    check_round_trip(tmp_path, layer, X, mask=MASK)


def test_round_trip_of_the_decoder_block(tmp_path):
    layer = DecoderBlock(H, F, cross_attention=True, **FORMS["llama"])
    check_round_trip(tmp_path, layer, X, MEMORY, mask=MASK, memory_mask=MEMORY_MASK)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precision(policy):
    check_precision(policy, lambda **kwargs: EncoderBlock(H, F, **kwargs), X, mask=MASK)

    def decoder_block(**kwargs):
        return DecoderBlock(H, F, cross_attention=True, **FORMS["llama"], **kwargs)

    check_precision(policy, decoder_block, X, MEMORY, memory_mask=MEMORY_MASK)


def test_dropout_acts_in_training_only():
    layer = built(EncoderBlock(H, F, dropout=0.5, attention_dropout=0.5), X)
    w = values(layer)
    assert_close(layer(X, training=False), expected(w, X))
    with pytest.raises(AssertionError):
        assert_close(layer(X, training=True), expected(w, X))
