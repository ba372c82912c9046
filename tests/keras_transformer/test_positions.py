import keras
import numpy as np
import pytest

from keras_transformer import (
    AlibiBias,
    LearnedPositionalEncoding,
    RelativePositionBias,
    RotaryEmbedding,
    SinusoidalPositionalEncoding,
)
from keras_transformer.positions import alibi_slopes, sinusoid
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

B, T, S, D, H = 2, 5, 7, 6, 4
SCALING = {
    "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_length": 256,
}  # fmt: skip


@pytest.mark.parametrize("width", [1, 6, 7])
def test_sinusoid_equals_the_paper(width):
    assert_close(sinusoid(50, width), reference.sinusoid(50, width))


@pytest.mark.parametrize("start", [0, 3])
def test_sinusoidal_encoding_equals_the_reference(start):
    x = normal(B, T, D)
    layer = SinusoidalPositionalEncoding(10)
    table = reference.sinusoid(10, D)
    assert_close(layer(x, start=start), x + table[start : start + T])
    assert layer.weights == []


@pytest.mark.parametrize("start", [0, 3])
def test_learned_encoding_equals_the_reference(start):
    x = normal(B, T, D)
    layer = built(LearnedPositionalEncoding(10), x)
    assert_close(layer(x, start=start), x + values(layer)["embeddings"][start : start + T])


def test_encodings_start_where_a_tensor_says():
    x, start = normal(B, T, D), keras.ops.convert_to_tensor(3)
    assert_close(
        SinusoidalPositionalEncoding(10)(x, start=start), x + reference.sinusoid(10, D)[3:8]
    )


@pytest.mark.parametrize("encoding", [SinusoidalPositionalEncoding, LearnedPositionalEncoding])
def test_positions_beyond_the_table_are_refused(encoding):
    with pytest.raises(ValueError, match="got T=5 from start=0 with max_length=4"):
        encoding(4)(normal(B, T, D))
    with pytest.raises(ValueError, match="got T=5 from start=4 with max_length=8"):
        encoding(8)(normal(B, T, D), start=4)


def test_gradients_of_learned_encoding():
    x = normal(B, T, D)
    layer = built(LearnedPositionalEncoding(8), x)
    check_gradients(layer, lambda w, x: x + w["embeddings"][2 : 2 + T], x, start=2)


def rotated(x, start):
    """(B, H, T, K), one head of one row at a time."""
    return np.array([[reference.rotate(head, start) for head in row] for row in x])


@pytest.mark.parametrize("start", [0, 3])
def test_rotation_equals_the_reference(start):
    x = normal(B, H, T, D)
    assert_close(RotaryEmbedding()(x, start=start), rotated(x, start))
    other = RotaryEmbedding()(x.transpose(0, 2, 1, 3), start=start, axis=1)
    assert_close(other, rotated(x, start).transpose(0, 2, 1, 3))


@pytest.mark.parametrize("theta", [10_000.0, 500_000.0])
@pytest.mark.parametrize("scaling", [None, SCALING])
@pytest.mark.parametrize("fraction", [1.0, 0.25])
def test_settings_of_rotation_equal_the_reference(theta, scaling, fraction):
    x, settings = normal(1, 1, 600, 32), {"scaling": scaling, "fraction": fraction}
    layer = RotaryEmbedding(max_wavelength=theta, **settings)
    expected = reference.rotate(x[0, 0], 3, max_wavelength=theta, **settings)
    # Angles of up to 600 radians are rounded to 3e-5.
    assert_close(layer(x, start=3)[0, 0], expected, atol=3e-4)
    turned = layer(x.transpose(0, 2, 1, 3), start=3, axis=1)[0, :, 0]
    assert_close(turned, expected, atol=3e-4)


def test_rotated_products_depend_on_the_distance_only():
    q, k = normal(1, 1, 1, D), normal(1, 1, 1, D, seed=1)

    def product(target, source):
        turned = RotaryEmbedding()(q, start=target), RotaryEmbedding()(k, start=source)
        return keras.ops.convert_to_numpy(keras.ops.sum(turned[0] * turned[1]))

    assert_close(product(2, 7), product(5, 10))
    assert abs(product(2, 7) - product(2, 8)) > 1e-3


def test_gradients_of_rotation():
    x = normal(1, 2, 3, 4)
    check_gradients(built(RotaryEmbedding(), x), lambda _, x: rotated(x, 2), x, start=2)


def test_an_odd_width_is_not_rotated():
    with pytest.raises(ValueError, match="got K=5"):
        RotaryEmbedding()(normal(B, H, T, 5))
    with pytest.raises(ValueError, match="got K=3"):
        RotaryEmbedding(fraction=0.5)(normal(B, H, T, 6))


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("sizes", [(32, 128), (8, 20), (10, 40), (64, 1024)])
def test_buckets_equal_the_reference(sizes, bidirectional):
    settings = {
        "num_buckets": sizes[0], "max_distance": sizes[1], "bidirectional": bidirectional,
    }  # fmt: skip
    distance = np.arange(-1500, 1501, dtype="int32")
    layer = RelativePositionBias(1, **settings)
    actual = layer._bucket(keras.ops.convert_to_tensor(distance))
    expected = [reference.t5_bucket(int(d), **settings) for d in distance]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(actual), expected)


def test_buckets_are_the_published_ones():
    """Lower ends of T5's far buckets, 32 buckets to distance 128, in both directions."""
    ends = [8, 12, 16, 23, 32, 46, 64, 91]
    assert [reference.t5_bucket(-d) for d in ends] == list(range(8, 16))
    assert [reference.t5_bucket(1 - d) for d in ends] == list(range(7, 15))


@pytest.mark.parametrize("bidirectional", [True, False])
def test_relative_bias_equals_the_reference(bidirectional):
    settings = {"max_distance": 6, "bidirectional": bidirectional}
    x, memory = normal(B, T, D), normal(B, S, D - 2)
    layer = built(RelativePositionBias(H, num_buckets=8, **settings), x)
    w = values(layer)
    assert_close(layer(x), reference.t5_bias(w, T, T, **settings))
    expected = reference.t5_bias(w, T, S, 2, **settings)
    assert_close(layer(x, memory, start=2), expected)
    _, by_weights = gradients(layer, [x])
    upstream = normal(1, H, T, T, seed=99)
    counted = np.zeros_like(w["embeddings"])
    for t, s in np.ndindex(T, T):
        counted[reference.t5_bucket(s - t, num_buckets=8, **settings)] += upstream[0, :, t, s]
    assert_close(by_weights["embeddings"], counted)


@pytest.mark.parametrize("num_heads", [1, 2, 8, 12, 20])
def test_alibi_slopes_are_the_published_ones(num_heads):
    assert_close(alibi_slopes(num_heads), np.array(reference.alibi_slopes(num_heads)))


def test_alibi_equals_the_reference():
    x, memory = normal(B, T, D), normal(B, S, D - 2)
    assert_close(AlibiBias(6)(x), reference.alibi_bias(6, T, T))
    assert_close(AlibiBias(6)(x, memory, start=2), reference.alibi_bias(6, T, S, 2))


LAYERS = {
    "sinusoidal": lambda **kwargs: SinusoidalPositionalEncoding(8, **kwargs),
    "learned": lambda **kwargs: LearnedPositionalEncoding(8, **kwargs),
    "rotary": lambda **kwargs: RotaryEmbedding(
        max_wavelength=500.0, scaling=SCALING, fraction=0.7, **kwargs
    ),
    "t5": lambda **kwargs: RelativePositionBias(H, num_buckets=8, **kwargs),
    "alibi": lambda **kwargs: AlibiBias(H, **kwargs),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_round_trip(tmp_path, kind):
    x = normal(B, H, T, D) if kind == "rotary" else normal(B, T, D)
    check_round_trip(tmp_path, LAYERS[kind](name="layer"), x)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precision(policy, kind):
    x = normal(B, H, T, D) if kind == "rotary" else normal(B, T, D)
    check_precision(policy, LAYERS[kind], x)
