"""Rotations and biases of positions in stored integers, against the same steps in NumPy."""

import keras
import numpy as np
import pytest

from keras_transformer import AlibiBias, Encoder, RelativePositionBias, RotaryEmbedding
from keras_transformer.positions import LOWEST_STORED_BIAS
from keras_transformer.rotary import rotated_columns
from tests import reference
from tests.keras_transformer.checks import assert_close, built, normal, values
from tests.keras_transformer.test_integers import calibrated, stored

B, T, S, H, K = 2, 5, 9, 4, 8
BITS = {"inner_bits": 8}
WIDE = {"kernel_bits": 16, "activation_bits": 16, "inner_bits": 16}


def step_of(point):
    return (float(point.range_max) - float(point.range_min)) / 255


def tables(length, fraction):
    """Cosines and sines (length, K), of which those of the first columns of pairs are negative."""
    width = rotated_columns(K, fraction)
    cosines, sines = np.ones((length, K)), np.zeros((length, K))
    for position in range(length):
        for place in range(width):
            angle = position * 10_000.0 ** (-(place % (width // 2)) / (width // 2))
            cosines[position, place] = np.cos(angle)
            sines[position, place] = np.sin(angle) * (-1 if place < width // 2 else 1)
    return cosines, sines


def swapped(x, fraction):
    half = rotated_columns(K, fraction) // 2
    places = np.r_[half : 2 * half, :half, 2 * half : K]
    return x[..., places]


@pytest.mark.parametrize("fraction", [1.0, 0.5])
@pytest.mark.parametrize("start", [0, 3])
def test_a_rotation_is_two_stored_products(start, fraction):
    x = 3.0 * normal(B, T, H, K)
    layer = built(RotaryEmbedding(fraction=fraction, bits=BITS), x)
    calibrated(layer, x, start=start, axis=1)
    w = values(layer)
    cosines, sines = (
        stored(w, name, table[start : start + T, None])
        for name, table in zip(("cosine", "sine"), tables(start + T, fraction), strict=True)
    )
    kept = stored(w, "kept", x.astype("float64") * cosines)
    turned = stored(w, "swapped", swapped(x.astype("float64"), fraction) * sines)
    found = keras.ops.convert_to_numpy(layer(x, start=start, axis=1))
    # A value next to the middle of two steps may fall either way.
    close = step_of(layer.kept_point), step_of(layer.swapped_point)
    assert_close(found, kept + turned, rtol=0, atol=1.01 * max(close))
    assert np.isclose(found, kept + turned, rtol=0, atol=1e-5).mean() > 0.99
    # Each of the four roundings is of half a step, those of the tables times the largest value.
    exact = np.array([
        [reference.rotate(x[row, :, head], start, fraction=fraction) for head in range(H)]
        for row in range(B)
    ]).transpose(0, 2, 1, 3)  # fmt: skip
    near = 0.5 * sum(close) + np.abs(x).max() * 0.5 * (
        step_of(layer.cosine_point) + step_of(layer.sine_point)
    )
    assert_close(found, exact, rtol=0, atol=1.01 * near)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_start_that_only_a_run_knows_is_a_place_in_a_table(axis):
    x = 3.0 * normal(B, T, T, K)
    layer = built(RotaryEmbedding(bits=BITS), x)
    # Calibrated on what a device stores: all positions.
    calibrated(layer, 3.0 * normal(1, S, S, K), axis=axis)
    start = keras.ops.convert_to_tensor(3, "int32")
    assert_close(
        keras.ops.convert_to_numpy(layer(x, start=start, axis=axis, room=S)),
        keras.ops.convert_to_numpy(layer(x, start=3, axis=axis)), rtol=0, atol=1e-6,
    )  # fmt: skip


def biases(kind):
    if kind == "alibi":
        return AlibiBias(H, bits=BITS)
    return RelativePositionBias(H, num_buckets=8, max_distance=6, bits=BITS)


@pytest.mark.parametrize("kind", ["alibi", "t5"])
def test_stored_biases_of_positions(kind):
    x, memory = normal(B, T, K), normal(B, S, K)
    layer = built(biases(kind), x)
    calibrated(layer, x, memory, start=2)
    w = values(layer)
    if kind == "alibi":
        exact = reference.alibi_bias(H, T, S, 2)
    else:
        exact = reference.t5_bias(w, T, S, 2, max_distance=6, bidirectional=True)
    found = keras.ops.convert_to_numpy(layer(x, memory, start=2))
    # Slopes are powers of two: some biases are in the middle of two steps, and fall either way.
    assert_close(found, exact, rtol=0, atol=0.51 * step_of(layer.point))
    start = keras.ops.convert_to_tensor(2, "int32")
    traced = keras.ops.convert_to_numpy(layer(x, memory, start=start))
    assert_close(traced, found, rtol=0, atol=1e-6)


def test_far_biases_do_not_coarsen_the_steps_of_near_ones():
    x = normal(1, 200, 4)
    layer = calibrated(built(AlibiBias(H, bits=BITS), x), x)
    found = keras.ops.convert_to_numpy(layer(x))
    exact = np.maximum(reference.alibi_bias(H, 200, 200), LOWEST_STORED_BIAS)
    assert_close(found, exact, rtol=0, atol=0.51 * -LOWEST_STORED_BIAS / 255)
    assert found.min() == pytest.approx(LOWEST_STORED_BIAS)


FORMS = {
    "alibi": {"position_bias": "alibi", "pre_norm": True},
    "t5": {"position_bias": "t5", "norm": "rms_norm"},
    "rotary": {"rotary": True},
    "gemma": {
        "rotary": True, "norm": "rms_norm", "qk_norm": True, "sandwich": True, "pre_norm": True,
        "window": 3, "pattern": "LG", "num_key_value_heads": 1,
    },
    "window": {"window": 2, "position_bias": "alibi"},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_stack_of_sixteen_bits_comes_near_to_floats(form):
    x, mask = normal(B, S, 16), np.arange(S) < np.array([[S], [6]])
    # A device leaves epsilon out.
    settings = {"activation": "relu", "epsilon": 1e-12, **FORMS[form]}
    exact = built(Encoder(2, 4, 16, name="encoder", **settings), x)
    layer = built(Encoder(2, 4, 16, name="encoder", bits=WIDE, **settings), x)
    known = {one.path: one for one in exact.weights}
    for weight in layer.weights:
        if not weight.path.endswith(("range_min", "range_max")):
            weight.assign(known[weight.path])
    calibrated(layer, x, mask=mask)
    found = keras.ops.convert_to_numpy(layer(x, mask=mask))
    expected = keras.ops.convert_to_numpy(exact(x, mask=mask))
    # Hidden scores are `MARGIN` below the lowest, as many as 3 of 9: up to 1e-3 of attention.
    assert_close(found[:, :6], expected[:, :6], rtol=0, atol=3e-2)
