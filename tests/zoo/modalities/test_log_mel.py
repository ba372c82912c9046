"""The spectrogram in integers against one in float64, by NumPy's Fourier transform."""

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.audio import Audio, AudioSettings
from keras_transformer.zoo.modalities.log_mel import LOG_MEL_FILE, IntegerLogMel, StoredScale

STEP, ZERO = 0.03, 5
SETTINGS = [
    {"rate": 8000, "samples": 3600, "frame": 240, "hop": 80, "patch_frames": 2},
    {"rate": 16_000, "samples": 8000, "frame": 480, "hop": 160},
    {"rate": 16_000, "samples": 9000, "frame": 1024, "hop": 999, "mels": 64, "high": 7000.0},
    {"rate": 8000, "samples": 900, "frame": 33, "hop": 20, "mels": 4, "low": 0.0},
]


def made(settings):
    rng = np.random.default_rng(0)
    stored = StoredScale(
        mean=tuple(rng.normal(-5, 1, settings.mels)), step=STEP, zero=ZERO,
        deviation=tuple(rng.uniform(1, 4, settings.mels)),
    )  # fmt: skip
    return IntegerLogMel(settings, stored)


def in_float64(log_mel, samples):
    """What it stores, before it is rounded and cut."""
    of, stored = log_mel.settings, log_mel.stored
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(of.frame) / of.frame)
    frames = np.lib.stride_tricks.sliding_window_view(samples, of.frame)[:: of.hop]
    powers = np.abs(np.fft.rfft(frames * window, of.transform)) ** 2
    edges = np.linspace(*(np.log1p(np.array([of.low, of.highest]) / 700)), of.mels + 2)
    edges = 700 * np.expm1(edges)
    hertz = np.arange(of.transform // 2 + 1) * of.rate / of.transform
    bands = np.stack([
        np.interp(hertz, edges[k : k + 3], [0, 1, 0], left=0, right=0) for k in range(of.mels)
    ], axis=1)  # fmt: skip
    logs = np.log(np.maximum(powers @ bands, 1e-6))
    values = (logs - np.array(stored.mean)) / np.array(stored.deviation) / STEP + ZERO
    patches = len(values) // of.patch_frames
    return values[: patches * of.patch_frames].reshape(patches, -1)


def sounds(length):
    rng, time = np.random.default_rng(1), np.arange(length)
    found = [
        rng.uniform(-1, 1, length), np.sin(0.3 * time), np.sign(np.sin(0.05 * time)),
        rng.normal(0, 0.01, length), rng.normal(0, 1e-3, length) * (time > length // 2),
        1e-3 * np.sin(0.3 * time), np.zeros(length), np.full(length, -1.0),
    ]  # fmt: skip
    return np.clip(np.rint(np.float64(found) * 32_768), -32_768, 32_767).astype(np.int16)


@pytest.mark.parametrize("settings", SETTINGS)
def test_it_is_at_most_a_step_off(settings):
    log_mel = made(AudioSettings(**settings))
    rows = sounds(settings["samples"])
    found = log_mel(rows / np.float32(32_768))
    assert found.dtype == np.int8 and found.shape == (len(rows), *log_mel.spec.shape)
    far = 0
    for row, samples in zip(found, rows, strict=True):
        expected = in_float64(log_mel, samples / 32_768)
        # Half a step is rounding; what is computed in integers is off by far less than another.
        difference = np.abs(row - np.clip(expected, -128, 127))
        assert difference.max() <= 0.6
        far += np.count_nonzero(difference > 0.51)
    assert far <= 0.01 * found.size


def test_patches_of_several_bands_are_cut_in_the_graph():
    of = AudioSettings(**SETTINGS[1], patch_mels=8)
    log_mel = made(of)
    assert log_mel.spec.shape == (of.num_frames, 40)
    samples = sounds(8000)[:1] / 32_768
    expected = made(AudioSettings(**SETTINGS[1]))(samples)
    np.testing.assert_array_equal(log_mel(samples), expected)


def test_samples_beyond_full_scale_are_cut():
    log_mel = made(AudioSettings(**SETTINGS[0]))
    loud = np.sign(np.sin(np.arange(3600)))[None]
    np.testing.assert_array_equal(log_mel(1.5 * loud), log_mel(1.0 * loud))


def test_files_hold_the_scale():
    settings = {**SETTINGS[0], "mels": 16}
    made_of = made(AudioSettings(**settings))
    files = {LOG_MEL_FILE: made_of.stored.to_bytes()}
    again = Audio.from_files(files, max_length=23, settings=settings)
    assert again.files() == files and again.log_mel.stored == made_of.stored
    assert LOG_MEL_FILE in Audio.file_names()
    plain = Audio.from_files({}, max_length=23, settings=settings)
    assert plain.log_mel is None and plain.files() == {} and plain.beside({}) == {}


def test_a_scale_that_no_integers_hold():
    with pytest.raises(InputError, match=r"a step of 1e-20"):
        IntegerLogMel(
            AudioSettings(**SETTINGS[0]),
            StoredScale(mean=(0.0,) * 40, deviation=(1.0,) * 40, step=1e-20, zero=0),
        )
