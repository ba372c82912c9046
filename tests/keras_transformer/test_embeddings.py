import keras
import numpy as np
import pytest

from keras_transformer import SegmentEmbedding, TokenEmbedding, embeddings
from tests import reference
from tests.keras_transformer.checks import (
    assert_close,
    built,
    check_gradients,
    check_precision,
    check_round_trip,
    gradients,
    normal,
    values,
)

V, D = 7, 4
IDS = np.array([[0, 6, 3], [3, 3, 1]], "int32")
X = normal(2, 3, D)
SEGMENTS = np.array([[0, 0, 1], [1, 0, 1]], "int32")


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_tokens_are_rows_of_the_table(scale):
    layer = built(TokenEmbedding(V, D, scale=scale), IDS)
    table = values(layer)["embeddings"]
    assert_close(layer(IDS), scale * table[IDS])
    check_gradients(layer, lambda w, ids: scale * w["embeddings"][ids], IDS)


def test_rounded_tokens_are_rows_of_the_rounded_table():
    layer = built(TokenEmbedding(V, D, bits={"kernel_bits": 8}), IDS)
    table = values(layer)["embeddings"]
    scales = np.abs(table).max(1, keepdims=True) / 127
    actual = keras.ops.convert_to_numpy(layer(IDS))
    assert_close(actual, (np.rint(table / scales) * scales)[IDS], atol=1e-6)
    np.testing.assert_array_equal(actual, keras.ops.convert_to_numpy(layer.table())[IDS])
    # Straight through: a row's gradient is the sum of those of its uses.
    _, slopes = gradients(layer, [IDS])
    expected = np.zeros((V, D))
    np.add.at(expected, IDS, normal(*IDS.shape, D, seed=99))
    assert_close(slopes["embeddings"], expected)


@pytest.mark.parametrize("bits", [{}, {"kernel_bits": 8, "row_bits": 8}])
def test_a_table_that_is_rounded_once_gives_the_same_logits(bits, monkeypatch):
    # In parts of 3 rows, of which the last one has 1.
    monkeypatch.setattr(embeddings, "_ROWS", 3)
    layer = built(TokenEmbedding(V, D, bits=bits), IDS)
    expected = keras.ops.convert_to_numpy(layer(X, logits=True))
    with layer.rounded_once():
        for _ in range(2):
            found = keras.ops.convert_to_numpy(layer(X, logits=True))
            np.testing.assert_array_equal(found, expected)
    layer.embeddings.assign(2.0 * layer.embeddings)
    assert_close(layer(X, logits=True), 2.0 * expected)


def test_logits_may_have_a_bias():
    layer = built(TokenEmbedding(V, D, logits_bias=True), IDS)
    w = values(layer)
    assert w["logits_bias"].shape == (V,)
    expected = reference.logits(w["embeddings"], X, w["logits_bias"])
    assert_close(layer(X, logits=True), expected)


def test_logits_are_products_with_the_same_table():
    layer = built(TokenEmbedding(V, D, scale=2.0), IDS)
    assert_close(layer(X, logits=True), reference.logits(values(layer)["embeddings"], X))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_logits_are_computed_in_the_compute_dtype(policy):
    layer = built(TokenEmbedding(V, D, dtype=policy), IDS)
    logits = layer(X, logits=True)
    assert keras.backend.standardize_dtype(logits.dtype) == policy.removeprefix("mixed_")
    assert_close(logits, X @ values(layer)["embeddings"].T, rtol=0.1, atol=0.05)


def test_segments_are_added():
    layer = built(SegmentEmbedding(3), X)
    table = values(layer)["embeddings"]
    assert_close(layer(X, SEGMENTS), X + table[SEGMENTS])
    assert_close(layer(X), X + table[0])


def test_gradients_of_segments():
    layer = built(SegmentEmbedding(), X)
    check_gradients(layer, lambda w, x, s: x + w["embeddings"][s], X, SEGMENTS)
    _, without = gradients(layer, [X])
    upstream = normal(*X.shape, seed=99).sum(axis=(0, 1))
    assert_close(without["embeddings"], np.stack([upstream, np.zeros(D)]))


def test_round_trip_of_tokens(tmp_path):
    check_round_trip(tmp_path, TokenEmbedding(V, D, scale=3.0, bits={"activation_bits": 8}), IDS)


def test_round_trip_of_segments(tmp_path):
    check_round_trip(tmp_path, SegmentEmbedding(2), X, SEGMENTS)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precision(policy):
    check_precision(policy, lambda **kwargs: TokenEmbedding(V, D, **kwargs), IDS)
    check_precision(policy, SegmentEmbedding, X, SEGMENTS)
