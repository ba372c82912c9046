"""The layers of speech against NumPy and librosa's formulas."""

import keras
import numpy as np
import pytest

from keras_transformer.speech import (
    FrameConvolution,
    FramePositions,
    ScaledLogMel,
    slaney_bands,
)


def log_mel(samples, rate, frame, hop, mels):
    """Whisper's spectrogram as its paper's code computes it, frame by frame."""
    padded = np.pad(samples.astype(np.float64), ((0, 0), (frame // 2, frame // 2)), "reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)
    count = samples.shape[1] // hop
    frames = np.stack([padded[:, t * hop : t * hop + frame] for t in range(count)], axis=1)
    powers = np.abs(np.fft.rfft(frames * window)) ** 2 @ slaney_bands(frame, rate, mels)
    logarithms = np.log10(np.maximum(powers, 1e-10))
    least = logarithms.max(axis=(1, 2), keepdims=True) - 8
    return (np.maximum(logarithms, least) + 4) / 4


@pytest.mark.parametrize(
    ("rate", "samples", "frame", "hop", "mels"),
    [(16_000, 6400, 400, 160, 80), (8000, 3200, 200, 80, 20), (8000, 1280, 128, 64, 10)],
)
def test_the_spectrogram_is_whispers(rate, samples, frame, hop, mels):
    rng = np.random.default_rng(0)
    rows = np.stack([
        rng.normal(0, 0.1, samples), 0.5 * np.sin(np.arange(samples) * 0.3), np.zeros(samples)
    ])  # fmt: skip
    found = keras.ops.convert_to_numpy(ScaledLogMel(rate, frame, hop, mels)(rows))
    expected = log_mel(rows, rate, frame, hop, mels)
    assert found.shape == (3, samples // hop, mels)
    # Where the tone's own power is 1e7 times as large, float32 leaves little of a band.
    np.testing.assert_allclose(found, expected, atol=2e-2)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[2], expected[2], atol=1e-5)


def test_bands_have_one_area():
    """As `librosa.filters.mel(sr=16000, n_fft=400, n_mels=80)`, whose first values these are."""
    bands = slaney_bands(400, 16_000, 80)
    assert bands.shape == (201, 80)
    # The triangles' width in Hz times their height is 2.
    edges = bands > 0
    assert edges.any(axis=0).all() and (np.diff(bands.argmax(axis=0)) >= 0).all()
    np.testing.assert_allclose(bands[1, 0], 0.02486259, rtol=1e-5)
    np.testing.assert_allclose(bands.sum(axis=0) * 40, 1, atol=0.2)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_is_that_of_keras(stride):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 8, 5)).astype("float32")
    layer = FrameConvolution(7, stride=stride, activation="relu")
    layer(x)
    kernel, bias = rng.normal(size=(15, 7)).astype("float32"), rng.normal(size=7)
    layer.projection.kernel.assign(kernel)
    layer.projection.bias.assign(bias)
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    expected = keras.ops.conv(padded, kernel.reshape(3, 5, 7), strides=stride, padding="valid")
    expected = np.maximum(keras.ops.convert_to_numpy(expected) + bias, 0)
    found = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    # In int16 the frames are gathered.
    wide = FrameConvolution(7, stride=stride, bits={"activation_bits": 16})
    np.testing.assert_array_equal(wide._windows(x), layer._windows(x))


def test_positions_are_sines_and_then_cosines():
    layer = FramePositions()
    found = keras.ops.convert_to_numpy(layer(np.zeros((1, 50, 8), "float32")))[0]
    rates = 10_000.0 ** (-np.arange(4) / 3)
    angles = np.arange(50)[:, None] * rates
    np.testing.assert_allclose(found[:, :4], np.sin(angles), atol=1e-5)
    np.testing.assert_allclose(found[:, 4:], np.cos(angles), atol=1e-5)
    assert not layer.trainable_weights
