"""Masks that Keras layers hand on reach attention, once, and nothing else."""

import warnings

import keras
import numpy as np
import pytest

from keras_transformer import (
    AlibiBias,
    Decoder,
    DecoderBlock,
    Encoder,
    EncoderBlock,
    FeedForward,
    LayerNorm,
    LearnedPositionalEncoding,
    MultiHeadAttention,
    Projection,
    QuantPoint,
    Residual,
    RMSNorm,
    SegmentEmbedding,
    SinusoidalPositionalEncoding,
)
from tests.keras_transformer.checks import assert_close, built, normal, random_mask
from tests.slow import mostly_slow

B, T, S, D, H, F = 2, 4, 5, 8, 2, 6
IDS = np.array([[3, 1, 0, 0], [2, 4, 1, 0]], "int32")
SOURCE = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]], "int32")
FIRST = keras.layers.Embedding(5, D, mask_zero=True, embeddings_initializer="random_normal")


@pytest.fixture(autouse=True)
def no_lost_masks():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*does not support masking.*")
        yield


class Seen(keras.layers.Layer):
    """Returns the mask that comes with its input, or minus ones."""

    supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            return -keras.ops.ones(keras.ops.shape(inputs)[:2])
        return keras.ops.cast(mask, "float32")


def seen(outputs):
    return Seen()(outputs)


@pytest.mark.parametrize(
    "make",
    [
        LayerNorm, RMSNorm, QuantPoint, SegmentEmbedding,
        lambda: Projection(3), lambda: FeedForward(F),
        lambda: SinusoidalPositionalEncoding(T), lambda: LearnedPositionalEncoding(T),
        lambda: MultiHeadAttention(H),
        lambda: Residual(FeedForward(F)), lambda: Residual(MultiHeadAttention(H), pre_norm=True),
        lambda: EncoderBlock(H, F), lambda: EncoderBlock(H, F, pre_norm=True, norm="rms_norm"),
        lambda: DecoderBlock(H, F), lambda: Encoder(2, H, F), lambda: Decoder(2, H, F),
        lambda: Encoder(2, H, F, pre_norm=True, position_bias="t5", bits={"activation_bits": 8}),
    ],
)  # fmt: skip
def test_a_mask_goes_on_with_the_output(make):
    assert_close(seen(make()(FIRST(IDS))), (IDS != 0).astype("float32"))


def test_a_bias_of_positions_has_no_mask():
    assert_close(seen(AlibiBias(H)(FIRST(IDS))), np.full((1, H), -1.0))


@pytest.mark.parametrize("shape", [(B, T, T), (B, H, T, T)])
def test_a_mask_of_pairs_stays_with_its_call(shape):
    x, mask = normal(B, T, D), random_mask(*shape)
    for layer in (MultiHeadAttention(H), EncoderBlock(H, F), Encoder(2, H, F)):
        assert_close(seen(layer(x, mask=mask)), np.full((B, T), -1.0))
    assert_close(seen(DecoderBlock(H, F)(x, mask=mask)), np.full((B, T), -1.0))


def test_a_mask_of_the_memory_stays_with_the_memory():
    layer = DecoderBlock(H, F, cross_attention=True)
    memory_mask = random_mask(B, T)
    outputs = layer(normal(B, T, D), normal(B, T, D, seed=1), memory_mask=memory_mask)
    assert_close(seen(outputs), np.full((B, T), -1.0))


def as_array(x):
    return keras.ops.convert_to_numpy(x)


def equal(one, other):
    """Exactly: a mask that was added twice would leave rounding differences."""
    np.testing.assert_array_equal(as_array(one), as_array(other))


def without_mask(x):
    return keras.ops.convert_to_tensor(as_array(x))


@pytest.mark.parametrize("bias", [None, normal(B, H, T, T, seed=2)])
def test_a_mask_reaches_attention_with_or_without_a_bias(bias):
    x, mask = FIRST(IDS), IDS != 0
    for layer in (MultiHeadAttention(H), EncoderBlock(H, F), DecoderBlock(H, F, pre_norm=True)):
        built(layer, x)
        equal(layer(x, bias=bias), layer(without_mask(x), mask=mask, bias=bias))
        assert not np.allclose(as_array(layer(x)), as_array(layer(without_mask(x))))


@pytest.mark.parametrize("position_bias", mostly_slow([None, "t5", "alibi"], [None, "t5"]))
def test_masks_reach_the_stacks(position_bias):
    source, target = FIRST(SOURCE), FIRST(IDS)
    encoder = built(Encoder(2, H, F, position_bias=position_bias), source)
    memory = encoder(source)
    equal(memory, encoder(without_mask(source), mask=SOURCE != 0))

    decoder = built(Decoder(2, H, F, cross_attention=True), target, memory)
    plain = without_mask(target), without_mask(memory)
    outputs = decoder(target, memory)
    equal(outputs, decoder(*plain, mask=IDS != 0, memory_mask=SOURCE != 0))
    assert not np.allclose(as_array(outputs), as_array(decoder(*plain, mask=IDS != 0)))
    # Left padding shows that the targets' own mask counts as well.
    left = FIRST(IDS[:, ::-1].copy())
    expected = decoder(
        without_mask(left), plain[1], mask=IDS[:, ::-1] != 0, memory_mask=SOURCE != 0
    )
    equal(decoder(left, memory), expected)


def test_a_mask_that_is_given_stands_in_place_of_the_one_handed_on():
    memory, target = FIRST(SOURCE), FIRST(IDS)
    decoder = built(Decoder(2, H, F, cross_attention=True), target, memory)
    mask, memory_mask = random_mask(B, T, seed=5), random_mask(B, S, seed=6)
    equal(
        decoder(target, memory, mask=mask, memory_mask=memory_mask),
        decoder(without_mask(target), without_mask(memory), mask=mask, memory_mask=memory_mask),
    )
    encoder = built(Encoder(2, H, F), target)
    equal(encoder(target, mask=mask), encoder(without_mask(target), mask=mask))


def test_a_functional_model_hands_masks_from_encoder_to_decoder():
    source, target = keras.Input((S,), dtype="int32"), keras.Input((T,), dtype="int32")
    embedding = keras.layers.Embedding(5, D, mask_zero=True)
    encoder, decoder = Encoder(1, H, F), Decoder(1, H, F, cross_attention=True)
    memory = encoder(LayerNorm()(embedding(source)))
    model = keras.Model([source, target], decoder(FeedForward(F)(embedding(target)), memory))
    before = model.predict([SOURCE, IDS], verbose=0)
    table = as_array(embedding.embeddings.value).copy()
    table[0] += 3.0
    embedding.embeddings.assign(table)
    after = model.predict([SOURCE, IDS], verbose=0)
    np.testing.assert_array_equal(before[IDS != 0], after[IDS != 0])
