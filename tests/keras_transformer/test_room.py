"""What does not fit into a cache or a table is refused, or NaN where a graph finds out."""

import keras
import numpy as np
import pytest

from keras_transformer.attention import MultiHeadAttention
from keras_transformer.blocks import DecoderBlock
from keras_transformer.positions import LearnedPositionalEncoding, SinusoidalPositionalEncoding
from keras_transformer.room import checked_places, known
from keras_transformer.stacks import Decoder

B, T, L, H, D = 2, 3, 5, 2, 8
X = np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")


def empty():
    return np.zeros((B, L, H, D // H), "float32"), np.zeros((B, L, H, D // H), "float32")


def layers():
    """Each with its call on X from a place on, and the name of the place."""
    stack, block = Decoder(2, H, 16), DecoderBlock(H, 16, cross_attention=False)
    attention = MultiHeadAttention(H, causal=True)
    calls = {
        "stack": (stack, lambda x, at: stack(x, cache=(empty(), empty()), cache_index=at)[0]),
        "block": (block, lambda x, at: block(x, cache=empty(), cache_index=at)[0]),
        "attention": (attention, lambda x, at: attention(x, cache=empty(), cache_index=at)[0]),
    }
    for kind in (LearnedPositionalEncoding, SinusoidalPositionalEncoding):
        table = kind(L)
        calls[kind.__name__] = table, lambda x, at, table=table: table(x, start=at)
    for layer, _ in calls.values():
        layer.build((B, T, D))
    return {name: call for name, (_, call) in calls.items()}


CALLS = layers()


def compiled(call):
    """A function of which only the run knows the place."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(call)
    import tensorflow as tf

    return tf.function(call, jit_compile=True)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("start", [3, 5, -1, np.int32(4)])
def test_a_place_that_is_known_is_refused(name, start):
    CALLS[name](X, L - T)
    size = "cache_index=%d with cache_length" if name in ("stack", "block", "attention") else (
        "start=%d with max_length"
    )  # fmt: skip
    if isinstance(start, np.int32) and keras.backend.backend() == "torch":
        pytest.skip("Keras makes a tensor of it, which torch refuses itself")
    with pytest.raises(ValueError, match=f"got T=3 from {size % start}=5"):
        CALLS[name](X, start)


@pytest.mark.parametrize("name", ["stack", "block", "attention"])
def test_what_does_not_fit_is_nan_in_a_graph(name):
    if keras.backend.backend() == "torch":
        pytest.skip("torch refuses such places itself")
    call = compiled(CALLS[name])
    for start in range(-1, L + 2):
        found = call(X, keras.ops.convert_to_tensor(start, "int32"))
        fits = 0 <= start <= L - T
        isnan = np.isnan(keras.ops.convert_to_numpy(found))
        assert isnan.all() != fits and isnan.any() != fits, start


def test_tables_in_a_graph():
    if keras.backend.backend() != "jax":
        pytest.skip("graphs of other backends raise")
    for name in ("LearnedPositionalEncoding", "SinusoidalPositionalEncoding"):
        call = compiled(CALLS[name])
        assert np.isnan(np.asarray(call(X, keras.ops.convert_to_tensor(3, "int32")))).all()
        assert np.isfinite(np.asarray(call(X, keras.ops.convert_to_tensor(2, "int32")))).all()


def test_what_is_promised_is_not_looked_for():
    call = CALLS["attention"]
    with checked_places():
        assert np.isfinite(keras.ops.convert_to_numpy(call(X, 2))).all()
        if keras.backend.backend() != "torch":
            assert keras.ops.convert_to_numpy(call(X, 4)).shape == (B, T, D)
    with pytest.raises(ValueError, match="cache_index=4"):
        call(X, 4)


def test_what_is_known():
    assert (known(3), known(np.int64(4))) == (3, 4)
    tensor = keras.ops.convert_to_tensor(5, "int32")
    assert known(tensor) == (None if keras.backend.backend() == "torch" else 5)
