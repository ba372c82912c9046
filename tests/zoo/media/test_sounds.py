"""Sounds from files, bytes and arrays."""

import numpy as np
import pytest
import soundfile

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.media import sounds
from keras_transformer.zoo.media.resample import resampled
from keras_transformer.zoo.media.sounds import fitted, read_sound, sound_length, sound_of

RATE = 8000


def tone(length=800, channels=1):
    time = np.arange(length)[:, None]
    values = 0.5 * np.sin(2 * np.pi * 0.05 * time * np.arange(1, channels + 1))
    return np.round(values * 32_767).astype(np.int16)


def written(folder, name="a.wav", samples=None, rate=RATE, **options):
    path = folder / name
    soundfile.write(path, tone() if samples is None else samples, rate, **options)
    return path


@pytest.mark.parametrize("name, subtype", [
    ("a.wav", "PCM_16"), ("a.wav", "PCM_24"), ("a.wav", "FLOAT"), ("a.flac", "PCM_16"),
])  # fmt: skip
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_files_and_bytes(tmp_path, name, subtype, channels):
    samples = tone(channels=channels)
    # libsndfile would write integers into files of floats as they are.
    given = samples / 32_768 if subtype == "FLOAT" else samples
    path = written(tmp_path, name, given, subtype=subtype)
    expected = (samples / 32_768).mean(axis=1)
    for source in (path, str(path), path.read_bytes()):
        found = read_sound(source, RATE)
        assert found.dtype == np.float32
        # 16 bits are exact in float32; their mean is rounded once.
        np.testing.assert_allclose(found, expected, atol=1e-7)
        assert sound_length(source) == (800, RATE)


def test_another_rate_is_resampled(tmp_path):
    path = written(tmp_path, rate=44_100)
    found = read_sound(path, 16_000)
    np.testing.assert_array_equal(found, resampled(tone()[:, 0] / 32_768, 44_100, 16_000))
    np.testing.assert_array_equal(found, sound_of(tone(), 16_000, 44_100))


def test_arrays():
    samples = tone()[:, 0]
    expected = (samples / 32_768).astype(np.float32)
    for given in (samples, tone(), expected, expected.astype(np.float64)):
        np.testing.assert_array_equal(sound_of(given, RATE), expected)
    assert sound_length(samples) == (800, None)
    assert sound_length((samples, 11_025)) == (800, 11_025)


def test_the_middle_is_kept_and_zeros_follow():
    np.testing.assert_array_equal(fitted(np.arange(7), 3), [2, 3, 4])
    np.testing.assert_array_equal(fitted(np.arange(6), 3), [1, 2, 3])
    np.testing.assert_array_equal(fitted(np.arange(1, 3), 4), [1, 2, 0, 0])
    np.testing.assert_array_equal(fitted(np.arange(3), 3), [0, 1, 2])


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.wav"):
        read_sound(tmp_path / "no.wav", RATE)
    with pytest.raises(InputError, match=f"{tmp_path.name}: expected a sound, got a folder"):
        read_sound(tmp_path, RATE)
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    with pytest.raises(InputError, match="text.wav: expected a WAV or FLAC file"):
        read_sound(text, RATE)
    with pytest.raises(InputError, match="bytes: expected a WAV or FLAC file"):
        read_sound(b"", RATE)
    other = written(tmp_path, "other.aiff")
    with pytest.raises(InputError, match="other.aiff: expected a WAV or FLAC file, got AIFF"):
        read_sound(other, RATE)
    with pytest.raises(InputError, match="empty.wav: expected a sound, got one without samples"):
        read_sound(written(tmp_path, "empty.wav", tone(0)), RATE)


@pytest.mark.parametrize("name", ["cut.wav", "cut.flac"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_truncated_files(tmp_path, name, share):
    rng = np.random.default_rng(0)
    path = written(tmp_path, name, rng.uniform(-1, 1, 40_000).astype(np.float32))
    data = path.read_bytes()
    for source in (path, data[: int(share * len(data))]):
        if source is path:
            path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(InputError, match="(cut|bytes).*(truncated|decoded)"):
            read_sound(source, RATE)


def test_a_file_of_a_pipe_does_not_know_its_size(tmp_path):
    data = bytearray(written(tmp_path).read_bytes())
    data[40:44] = b"\xff" * 4
    np.testing.assert_allclose(read_sound(bytes(data), RATE), tone()[:, 0] / 32_768, atol=1e-7)


def test_integers_in_a_file_of_floats(tmp_path):
    path = written(tmp_path, "loud.wav", tone(), subtype="FLOAT")
    with pytest.raises(InputError, match="loud.wav: expected samples from -1 to 1, got one of"):
        read_sound(path, RATE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite(tmp_path, value):
    samples = np.zeros(100, np.float32)
    samples[50] = value
    path = written(tmp_path, "odd.wav", samples, subtype="FLOAT")
    with pytest.raises(InputError, match="odd.wav: expected finite samples"):
        read_sound(path, RATE)
    with pytest.raises(InputError, match="The array: expected finite"):
        sound_of(samples, RATE)


def test_bad_arrays():
    with pytest.raises(InputError, match="int32"):
        sound_of(np.zeros(10, np.int32), RATE)
    with pytest.raises(InputError, match=r"\(1, 2, 3\)"):
        sound_of(np.zeros((1, 2, 3)), RATE)
    with pytest.raises(InputError, match=r"at most 256 channels, got .* \(2, 800\); transpose"):
        sound_of(np.zeros((2, 800)), RATE)
    with pytest.raises(InputError, match="array: .* from -1 to 1, got one of size 300"):
        sound_of(np.array([0.0, -300.0]), RATE)
    for length in (0, (0, 2), (2, 0)):
        with pytest.raises(InputError, match="without samples"):
            sound_of(np.zeros(length), RATE)
    for rate in (0, -1, 1.5, True, "8000", 10**9):
        with pytest.raises(InputError, match="Expected a rate in Hz"):
            sound_of(np.zeros(10), RATE, rate)


def test_longest(tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "MOST_SAMPLES", 799)
    with pytest.raises(InputError, match="a.wav: expected a sound of at most 799 samples, got 800"):
        read_sound(written(tmp_path), RATE)


def test_without_soundfile(tmp_path, monkeypatch):
    path = written(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(InputError, match=r"pip install 'keras-transformer-zoo\[sound\]'"):
        read_sound(path, RATE)
    assert len(sound_of(tone(), RATE)) == 800
