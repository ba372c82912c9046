"""Log-mel spectrograms equal NumPy's, from its Fourier transform and bands written band by band."""

import keras
import numpy as np
import pytest

from keras_transformer.frames import FLOOR, LogMel, fourier, places_of

RANGE = np.log(1e4 / FLOOR)


def reference(samples, rate, frame, hop, mels, low, high):
    """(B, frames, mels) in float64, a frame, a frequency and a band at a time where it is short."""
    length = 1 << (frame - 1).bit_length()
    window = np.hanning(frame + 1)[:-1]
    frames = [
        samples[:, start : start + frame] * window
        for start in range(0, samples.shape[1] - frame + 1, hop)
    ]
    power = np.abs(np.fft.rfft(np.stack(frames, 1), length)) ** 2
    low_mel, high_mel = (2595 * np.log10(1 + hz / 700) for hz in (low, high))
    edges = [
        700 * (10 ** ((low_mel + (high_mel - low_mel) * one / (mels + 1)) / 2595) - 1)
        for one in range(mels + 2)
    ]
    bands = np.zeros((length // 2 + 1, mels))
    for place, frequency in enumerate(np.fft.rfftfreq(length, 1 / rate)):
        for band, (left, top, right) in enumerate(
            zip(edges, edges[1:], edges[2:], strict=False)
        ):
            if left < frequency <= top:
                bands[place, band] = (frequency - left) / (top - left)
            elif top < frequency < right:
                bands[place, band] = (right - frequency) / (right - top)
    return np.log(np.maximum(power @ bands, FLOOR))


def sounds(samples, rate):
    """Noise, a tone, a click, silence and a quiet tone under a loud one."""
    rng, time = np.random.default_rng(0), np.arange(samples) / rate
    click = np.zeros(samples)
    click[samples // 2] = 1
    tone = np.sin(2 * np.pi * 440 * time)
    loud = 0.9 * np.sin(2 * np.pi * 310 * time) + 1e-3 * np.sin(2 * np.pi * 0.3 * rate * time)
    sounds = [rng.uniform(-1, 1, samples), tone, click, np.zeros(samples), loud]
    return np.stack(sounds).astype("float32")


CASES = [
    (16_000, 480, 160, 40, 20, 7600), (16_000, 400, 160, 64, 0, 8000),
    (8_000, 240, 80, 40, 20, 4000), (8_000, 256, 256, 20, 100, 3000),
    (8_000, 200, 130, 13, 0, 4000), (22_050, 661, 220, 80, 50, 11_025),
    (100, 2, 1, 1, 0, 50), (100, 5, 3, 2, 0, 50),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("extra", [0, 77])
def test_equals_numpy(case, extra):
    rate, frame, hop, *_ = case
    samples = sounds(frame + 20 * hop + extra % hop, rate)
    found = keras.ops.convert_to_numpy(LogMel(*case)(samples) * 4.0 - 5.0)
    expected = reference(samples.astype(float), *case)
    assert found.shape == expected.shape
    # Of float32's seven digits a band 100 dB below a tone has few left; noise, a click and silence
    # fill all bands alike.
    np.testing.assert_allclose(found, expected, atol=1e-3 * RANGE)
    np.testing.assert_allclose(found[[0, 2, 3]], expected[[0, 2, 3]], atol=1e-5 * RANGE)


@pytest.mark.parametrize("sizes", [(1, 2), (2, 1), (2, 2), (16, 16), (32, 16)])
def test_the_two_products_are_the_transform(sizes):
    rows, columns = sizes
    x = np.random.default_rng(0).normal(size=rows * columns)
    first, turn, second = fourier(rows, columns)
    kept = rows // 2 + 1
    y = x.reshape(rows, columns).T @ first
    y = y * turn[0] + np.roll(y, kept, axis=1) * turn[1]
    y = y.reshape(2 * columns, kept).T @ second
    expected = np.fft.fft(x)
    order = np.arange(kept)[:, None] + rows * np.arange(columns)
    np.testing.assert_allclose(y[:, :columns] + 1j * y[:, columns:], expected[order], atol=1e-5)
    power = np.abs(expected[places_of(rows, columns)])
    np.testing.assert_allclose(np.abs(expected[order]), power, atol=1e-9)


def test_patches_of_frames_and_the_place_of_a_token():
    samples = sounds(1000, 8000)
    settings = (8000, 240, 80, 10, 0, 4000)
    plain = keras.ops.convert_to_numpy(LogMel(*settings)(samples))
    layer = LogMel(*settings, patch_frames=3, class_token=True)
    found = keras.ops.convert_to_numpy(layer(samples))
    assert plain.shape == (5, 10, 10) and found.shape == (5, 4, 30)
    assert tuple(layer.compute_output_spec(keras.KerasTensor((5, 1000))).shape) == found.shape
    np.testing.assert_array_equal(found[:, 0], 0)
    np.testing.assert_array_equal(found[:, 1:], plain[:, :9].reshape(5, 3, 30))


def test_mean_and_deviation_are_those_of_the_sounds():
    samples = sounds(4000, 8000)
    layer = LogMel(8000, 240, 80, 10, 0, 4000)
    layer.build(samples.shape)
    layer.learn([samples[:2], samples[2:]])
    found = reference(samples.astype(float), 8000, 240, 80, 10, 0, 4000).reshape(-1, 10)
    found = found[(found > np.log(FLOOR) + 1e-3).any(axis=1)]  # silence does not count
    np.testing.assert_allclose(layer.mean, found.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(layer.deviation, found.std(axis=0), atol=1e-3)
    assert not layer.trainable_weights


def test_silence_alone_changes_nothing():
    layer = LogMel(8000, 240, 80, 10, 0, 4000)
    layer.build((1, 1000))
    layer.learn([np.zeros((1, 1000), "float32")])
    np.testing.assert_array_equal(layer.mean, np.full(10, -5.0))


def test_half_precision_reads_quiet_sounds():
    samples = 1e-3 * sounds(1000, 8000)
    layer = LogMel(8000, 240, 80, 10, 0, 4000, dtype="mixed_float16")
    expected = LogMel(8000, 240, 80, 10, 0, 4000)(samples)
    found = layer(samples)
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    # Numbers below 8 in steps of 1/256.
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(keras.ops.cast(found, "float32")),
        keras.ops.convert_to_numpy(expected), atol=4e-3,
    )  # fmt: skip
