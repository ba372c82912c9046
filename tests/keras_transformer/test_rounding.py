"""Rows rounded as a runtime does, against the formula in NumPy."""

import keras
import numpy as np
import pytest

from keras_transformer import (
    EncoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    Projection,
)
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.rounding import SharedRows, kernel_scale, round_kernel, round_rows
from tests.keras_transformer.checks import assert_close, gradients, normal

array = keras.ops.convert_to_numpy


def rounded(row, bits=8):
    """A row on the grid of `2**bits` values between its bounds, one of which is zero."""
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    minimum, maximum = min(row.min(), 0.0), max(row.max(), 0.0)
    if minimum == maximum:
        return row
    step = (maximum - minimum) / (highest - lowest)
    places = [lowest - minimum / step, highest - maximum / step]
    zero = np.rint(places[int(lowest + minimum / step + highest + maximum / step <= 0.0)])
    return (np.clip(np.rint(row / step) + zero, lowest, highest) - zero) * step


@pytest.mark.parametrize("bits", [8, 4])
def test_each_row_between_its_own_bounds(bits):
    x = normal(2, 5, 24) * np.array([1.0, 30.0, 1e-3, 0.0, 1.0])[:, None]
    x[1, 4] = np.abs(x[1, 4])  # the lower bound is zero
    expected = [[rounded(row, bits) for row in rows] for rows in x.astype("float64")]
    found = array(round_rows(x.astype("float32"), bits))
    assert_close(found, np.array(expected, "float32"))
    assert all(len(np.unique(row)) <= 2**bits for row in found.reshape(-1, 24))


def test_a_projection_reads_rounded_rows_where_its_kernel_is_rounded():
    x = normal(2, 3, 8).astype("float32")
    for bits, expected in (
        ({"kernel_bits": 8, "row_bits": 8}, array(round_rows(x, 8))), ({"row_bits": 8}, x),
    ):  # fmt: skip
        layer = Projection(5, bits=bits)
        layer.build(x.shape)
        kernel = layer.kernel.value
        kernel = array(round_kernel(kernel, 8) if "kernel_bits" in bits else kernel)
        assert_close(array(layer(x)), expected @ kernel)


def test_a_tensor_is_rounded_once_for_all_that_read_it_in_succession():
    x, other = (keras.ops.convert_to_tensor(normal(3, 8, seed=seed)) for seed in (0, 1))
    rows = SharedRows()
    calls = [(x, 8), (x, 8), (other, 8), (x, 8), (x, 4)]
    found = [rows(*call) for call in calls]
    for call, rounded_ in zip(calls, found, strict=True):
        np.testing.assert_array_equal(array(rounded_), array(round_rows(*call)))
    assert found[1] is found[0] and found[3] is not found[0]


RESIDUAL = {"kernel_bits": 8, "row_bits": 8, "activation_bits": 8}


def test_what_a_residual_connection_adds_is_float_where_rows_are_rounded_too():
    x = normal(2, 3, 8).astype("float32")
    layer = FeedForward(16, activation="relu", bits=RESIDUAL)
    layer.build(x.shape)
    layer.activation_point.set_range(0.0, 1.5)
    up, down = (array(round_kernel(one.kernel.value, 8)) for one in (layer.up, layer.down))
    step = 1.5 / 255
    hidden = np.clip(np.rint(np.maximum(x @ up, 0.0) / step), 0, 255) * step
    expected = array(round_rows(hidden.astype("float32"), 8)) @ down
    assert_close(array(layer(x)), expected)
    assert layer.down_point.bits is None
    # The inputs of the other projection are stored, and not rounded a second time.
    assert layer.down.rounds_rows and not layer.up.rounds_rows


def test_the_output_of_attention_is_float_where_rows_are_rounded_too():
    layer = MultiHeadAttention(2, bits=RESIDUAL)
    layer.build((2, 3, 8))
    assert layer.output_projection.rounds_rows
    assert layer.output_point.bits is None
    for name in ("query", "key", "value"):
        assert not getattr(layer, name).rounds_rows
    assert layer.context_point.bits == layer.value_point.bits == 8


def test_low_rank_factors_of_what_a_residual_connection_adds():
    layer = FeedForward(16, rank=2, bits=RESIDUAL)
    layer.build((2, 3, 8))
    factors = layer.down.reduce, layer.down.expand
    assert all(one.rounds_rows for one in factors)
    assert layer.down.reduced_point.bits is None
    assert layer.up.reduced_point.bits == 8


def test_gradients_pass_straight_through_the_rounding_of_rows():
    x = normal(2, 3, 8).astype("float32")
    layer = Projection(5, bits={"kernel_bits": 8, "row_bits": 8})
    layer.build(x.shape)
    plain = Projection(5, bits={"kernel_bits": 8})
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    found, expected = gradients(layer, [x]), gradients(plain, [x])
    assert_close(found[0][0], expected[0][0])


def test_logits_of_rounded_rows():
    x = normal(2, 3, 8).astype("float32")
    layer = TokenEmbedding(7, 8, bits={"kernel_bits": 8, "row_bits": 8})
    layer.build((2, 3))
    assert_close(array(layer(x, logits=True)), array(round_rows(x, 8)) @ array(layer.table()).T)


def test_the_scale_of_a_block_is_that_of_the_stored_kernel():
    kernel, factor = normal(64, 3).astype("float32"), 8**-0.5
    stored = array(kernel_scale(kernel, 4, 32, factor)) * np.float32(factor)
    exact = np.abs(kernel.reshape(2, 32, 3)).max(1, keepdims=True) / 7 * factor
    assert_close(stored, array(keras.ops.cast(keras.ops.cast(exact, "bfloat16"), "float32")))
    layer = Projection(3, factor=factor, bits={"kernel_bits": 4, "kernel_block": 32})
    layer.build((None, 64))
    layer.kernel.assign(kernel)
    assert_close(array(layer.scale) * np.float32(factor), stored)
    x = normal(2, 64).astype("float32")
    assert_close(array(layer(x)), x @ array(round_kernel(kernel, 4, 32, factor)) * factor)


def test_a_norm_before_rounded_rows_is_the_same_norm():
    x = normal(2, 3, 8).astype("float32")
    for layer in (LayerNorm(), LayerNorm(bits={"row_bits": 8})):
        layer.build(x.shape)
        layer.beta.assign(normal(8))
        layer.gamma.assign(normal(8))
    plain = LayerNorm()
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    assert_close(array(layer(x)), array(plain(x)))


def test_gated_layers_and_rotated_attention_store_nothing_where_rows_are_rounded_too():
    """Both follow the formula with rows and kernels alone rounded."""
    x = normal(2, 3, 8).astype("float32")
    gated = FeedForward(16, activation="silu", gated=True, use_bias=False, bits=RESIDUAL)
    gated.build(x.shape)
    up, gate, down = (
        array(round_kernel(one.kernel.value, 8)) for one in (gated.up, gated.gate, gated.down)
    )
    rows = array(round_rows(x, 8))
    gates = rows @ gate
    hidden = gates / (1.0 + np.exp(-gates)) * (rows @ up)
    assert_close(array(gated(x)), array(round_rows(hidden.astype("float32"), 8)) @ down)
    for changes in ({"rotary": True}, {"qk_norm": 1e-6}):
        attention = MultiHeadAttention(2, bits=RESIDUAL, **changes)
        attention.build((2, 3, 8))
        assert stored(attention) == []
        assert all(one.rounds_rows for one in (attention.query, attention.key, attention.value))


def stored(layer):
    return [one.path for one in layer._flatten_layers() if getattr(one, "is_learned", False)]


@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("gated", [False, True])
def test_a_norm_is_stored_as_what_reads_it(gated, pre_norm):
    block = EncoderBlock(2, 16, gated=gated, pre_norm=pre_norm, bits=RESIDUAL)
    block.build((2, 3, 8))
    # The output of a post-norm is added to the next residual connection.
    assert (block.feed_forward.norm_point.bits == 8) == (pre_norm and not gated)
    assert (block.attention.norm_point.bits == 8) == pre_norm
    attention, layer = block.attention.sublayer, block.feed_forward.sublayer
    for one in (attention.query, attention.key, attention.value):
        assert one.rounds_rows != pre_norm
        assert attention.key_point.bits == 8
    assert layer.up.rounds_rows == (gated or not pre_norm)
