"""Layers whose every step is a stored integer, against the same steps in NumPy."""

import keras
import numpy as np
import pytest

from keras_transformer import Encoder, FeedForward, LayerNorm, RMSNorm
from keras_transformer.masks import MARGIN, STORED_MASKED_SCORE, MaskedMax, StoredMask
from keras_transformer.quantization import QuantPoint
from tests import reference
from tests.keras_transformer.checks import assert_close, built, gradients, normal, values

X = 3.0 * normal(2, 5, 8) + 1.0


def calibrated(layer, *inputs, **kwargs):
    """Sets the range of every point of a layer to what passes through it."""
    points = [p for p in layer._flatten_layers() if isinstance(p, QuantPoint) and p.is_learned]

    def observe(point, x, training):
        values = keras.ops.convert_to_numpy(x)
        point.set_range(float(values.min()), float(values.max()))
        return x

    for point in points:
        point.set_range(0.0, 0.0)
        point.tracker = observe
    layer(*inputs, **kwargs)
    for point in points:
        point.tracker = None
    return layer


def stored(w, name, x):
    bounds = w[f"{name}_point"]
    return reference.fake_quant(x, bounds["range_min"], bounds["range_max"], 8)


def normal_of(w, x):
    """`x / sqrt(mean(x**2))`, step by step."""
    mean_square = stored(w, "mean_square", stored(w, "square", x * x).mean(-1, keepdims=True))
    with np.errstate(divide="ignore"):
        inverse = stored(w, "inverse", 1.0 / np.sqrt(mean_square))
    return stored(w, "normal", x * inverse)


def layer_norm(w, x):
    mean = stored(w, "mean", x.mean(-1, keepdims=True))
    scaled = normal_of(w, stored(w, "centred", x - mean)) * stored(w, "gamma", w["gamma"])
    return stored(w, "scaled", scaled) + stored(w, "beta", w["beta"])


def rms_norm(w, x):
    return normal_of(w, x) * stored(w, "gamma", w["gamma"])


@pytest.mark.parametrize(("kind", "expected"), [(LayerNorm, layer_norm), (RMSNorm, rms_norm)])
def test_norms_take_the_steps_of_a_device(kind, expected):
    layer = calibrated(built(kind(bits={"inner_bits": 8}), X), X)
    w = values(layer)
    # A value next to the middle of two steps may fall either way: one step of the last product.
    step = (w["normal_point"]["range_max"] - w["normal_point"]["range_min"]) / 255
    found = keras.ops.convert_to_numpy(layer(X))
    assert_close(found, expected(w, X.astype("float64")), rtol=0, atol=1.01 * step)
    same = np.isclose(found, expected(w, X.astype("float64")), rtol=0, atol=1e-4)
    assert same.mean() > 0.9


@pytest.mark.parametrize("kind", [LayerNorm, RMSNorm])
def test_sixteen_bits_come_near_to_floats(kind):
    exact = built(kind(epsilon=1e-12), X)
    layer = calibrated(built(kind(bits={"inner_bits": 16}), X), X)
    for name, value in values(exact).items():
        getattr(layer, name).assign(value)
    calibrated(layer, X)
    # The square's range is that of the largest value, so the root of a small mean loses digits.
    assert_close(layer(X), keras.ops.convert_to_numpy(exact(X)), rtol=0, atol=5e-3)


def test_a_row_without_variance_has_a_finite_output_and_gradient():
    x = np.concatenate([X, np.ones_like(X)])
    layer = calibrated(built(LayerNorm(bits={"inner_bits": 8}), x), X)
    assert np.isfinite(keras.ops.convert_to_numpy(layer(x))).all()
    (of_input,), of_weights = gradients(layer, [x])
    assert np.isfinite(of_input).all()
    assert np.abs(of_input).max() > 0
    assert all(np.isfinite(value).all() for value in of_weights.values())


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu", "hard_silu"])
def test_the_activation_of_integers_comes_near_to_its_own(activation, gated):
    exact = built(FeedForward(16, activation=activation, gated=gated), X)
    bits = {"activation_bits": 16, "inner_bits": 16}
    layer = built(FeedForward(16, activation=activation, gated=gated, bits=bits), X)
    for name in ("up", "down", *("gate",) * gated):
        getattr(layer, name).set_weights(getattr(exact, name).get_weights())
    calibrated(layer, X)
    # x * sigmoid(1.702 x) is within 0.0203 of GELU, which the kernels then add up and multiply.
    near = 0.15 if "gelu" in activation else 2e-3
    assert_close(layer(X), keras.ops.convert_to_numpy(exact(X)), rtol=0, atol=near)


def test_a_stored_mask_is_zero_or_the_masked_score():
    layer = StoredMask(bits={"inner_bits": 8})
    layer.build(None)
    mask = np.array([[True, False, True]])
    expected = np.where(mask, 0.0, STORED_MASKED_SCORE)
    # The grid of 8 bits has zero on it, and ends half a step from the score.
    assert_close(layer(mask), expected, rtol=0, atol=512 / 255)
    assert keras.ops.convert_to_numpy(layer(mask))[0, 0] == 0.0
    both = layer.both(mask, np.array([[[True, True, True], [True, True, False]]]))
    expected = np.array([[[[0.0, 1.0, 0.0], [0.0, 1.0, 1.0]]]]) * STORED_MASKED_SCORE
    assert_close(both, expected, rtol=0, atol=512 / 255)


def test_the_largest_of_the_unmasked():
    mask = np.arange(5) < np.array([[5], [2]])
    layer = MaskedMax(bits={"inner_bits": 8})
    stored_mask = StoredMask(bits={"inner_bits": 8})
    bias = stored_mask(mask)
    layer.build(X.shape, mask.shape)
    calibrated(layer, X, bias)
    low, high = float(layer.point.range_min), float(layer.point.range_max)
    assert low >= X.min() - 1e-6
    expected = np.where(mask[:, :, None], X, -np.inf).max(1)
    assert_close(layer(X, bias), expected, rtol=0, atol=0.51 * (high - low) / 255)


def test_what_a_mask_hides_changes_nothing():
    encoder = Encoder(1, 2, 16, bits={"kernel_bits": 8, "activation_bits": 8, "inner_bits": 8})
    mask = np.arange(5) < np.array([[5], [3]])
    encoder.build(X.shape)
    calibrated(encoder, X, mask=mask)
    attention = encoder.blocks[0].attention.sublayer
    scores, masked = attention.scores_point, attention.masked_scores_point
    # The range of the sum begins `MARGIN` below the scores' and not at the mask.
    assert float(masked.range_min) == pytest.approx(float(scores.range_min) - MARGIN, abs=1e-4)
    other = X.copy()
    other[1, 3:] = -X[1, 3:]
    one, two = (keras.ops.convert_to_numpy(encoder(x, mask=mask)) for x in (X, other))
    assert_close(one[0], two[0], rtol=0, atol=0)
    # Hidden scores are stored as the lowest, which is worth less than half a step of 1/256 each.
    point = encoder.blocks[0].feed_forward.norm_point
    step = (float(point.range_max) - float(point.range_min)) / 255
    assert_close(one[1, :3], two[1, :3], rtol=0, atol=3 * step)
