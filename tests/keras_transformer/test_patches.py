"""Patches of pixels against Keras' own convolution, and positions against sums of arrays."""

import keras
import numpy as np
import pytest

from keras_transformer import Projection
from keras_transformer.patches import Patches, PatchPositions, Pixels, SpectrogramPatches
from keras_transformer.positions import sinusoid
from tests.keras_transformer.checks import (
    assert_close,
    built,
    check_gradients,
    check_round_trip,
    normal,
    values,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), np.uint8)


@pytest.mark.parametrize("class_token", [False, True])
def test_projected_patches_are_a_convolution(class_token):
    patches, projection = Patches(4, class_token=class_token), Projection(5, use_bias=False)
    pieces = patches(Pixels()(PIXELS))
    found = built(projection, pieces)(pieces)
    convolution = keras.layers.Conv2D(5, 4, strides=4, use_bias=False)
    convolution.build((None, 8, 12, 3))
    convolution.kernel.assign(keras.ops.reshape(projection.kernel, (4, 4, 3, 5)))
    convolved = convolution((PIXELS.astype("float32") - 128) / 128)
    expected = keras.ops.convert_to_numpy(convolved).reshape(2, 6, 5)
    if class_token:
        expected = np.concatenate([np.zeros((2, 1, 5)), expected], axis=1)
    assert_close(found, expected)
    assert patches.compute_output_shape((None, 8, 12, 3)) == (None, 6 + class_token, 48)


@pytest.mark.parametrize("gathers", [False, True])
@pytest.mark.parametrize(("sides", "overlap"), [((6, 4), 0), ((6, 6), 4), ((5, 4), 1)])
def test_patches_of_spectrograms_are_those_of_a_convolution(sides, overlap, gathers):
    x = normal(2, 31, 17)
    layer = SpectrogramPatches(*sides, overlap=overlap, class_token=True, gathers=gathers)
    found = keras.ops.convert_to_numpy(layer(x))
    steps = [side - overlap for side in sides]
    expected = np.array([
        [x[b, i : i + sides[0], j : j + sides[1]].ravel()
         for i in range(0, 31 - sides[0] + 1, steps[0])
         for j in range(0, 17 - sides[1] + 1, steps[1])]
        for b in range(2)
    ])  # fmt: skip
    np.testing.assert_array_equal(found[:, 1:], expected)
    np.testing.assert_array_equal(found[:, 0], 0)
    assert layer.compute_output_shape((None, 31, 17)) == (None, *found.shape[1:])


def test_each_pixel_is_stored_exactly():
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    expected = (np.arange(256) - 128) / 128
    for bits in (None, {"activation_bits": 8}, {"activation_bits": 16}):
        found = keras.ops.convert_to_numpy(Pixels(bits=bits)(every)).reshape(-1)
        np.testing.assert_array_equal(found, expected)
    # Half precision holds them, too.
    for dtype in ("mixed_bfloat16", "mixed_float16"):
        half = Pixels(dtype=dtype)(every)
        assert keras.backend.standardize_dtype(half.dtype) == dtype.removeprefix("mixed_")
        found = keras.ops.convert_to_numpy(keras.ops.cast(half, "float32")).reshape(-1)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("class_token", [True, False])
def test_positions(class_token, learned, tmp_path):
    x = normal(2, 7, 4)
    layer = built(PatchPositions(class_token=class_token, learned=learned), x)

    def reference(w, inputs):
        table = np.array(w["embeddings"]) if learned else sinusoid(7, 4).astype("float64")
        table[class_token:] += w["bias"]
        if class_token:
            table[0] += w["token"]
        return inputs + table

    assert_close(layer(x), reference(values(layer), x))
    check_gradients(layer, reference, x)
    check_round_trip(tmp_path, layer, x)
    assert sorted(values(layer)) == sorted(
        ["bias", *(["token"] if class_token else []), *(["embeddings"] if learned else [])]
    )
