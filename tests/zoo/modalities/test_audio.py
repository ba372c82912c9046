"""The audio modality: settings, raw rows, and what is read of them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.audio import Audio, AudioSettings

SETTINGS = {"rate": 8000, "samples": 1600, "frame": 240, "hop": 80}


def audio(**changes):
    settings = {**SETTINGS, **changes}
    return Audio(max_length=AudioSettings(**settings).positions, settings=settings)


def noise(length, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, length).astype(np.float32)


def test_rows_of_every_kind_become_one_length(tmp_path):
    modality = audio()
    exact, short, long = noise(1600), noise(1000), noise(2001)
    path = tmp_path / "a.flac"
    soundfile.write(path, (exact * 32_767).astype(np.int16), 8000)
    rows, pairs = modality.checked([exact, (short, 8000), long, path, path.read_bytes()])
    assert pairs is None
    encoded = modality.encode(rows)
    assert encoded.truncated == [False, False, True, False, False]
    [spec] = modality.inputs()
    assert (spec.name, spec.dtype, spec.shape) == ("waveform", "float32", (1600,))
    found = encoded.pad([spec])["waveform"]
    assert found.shape == (5, 1600) and found.dtype == np.float32
    np.testing.assert_array_equal(found[0], exact)
    np.testing.assert_array_equal(found[1], np.pad(short, (0, 600)))
    np.testing.assert_array_equal(found[2], long[200:1800])  # the middle
    np.testing.assert_allclose(found[3], exact, atol=2 / 32_768)
    np.testing.assert_array_equal(found[4], found[3])
    np.testing.assert_array_equal(modality.num_real({"waveform": found}), [19] * 5)
    assert modality.longest == "0.2 seconds"


def test_positions():
    assert AudioSettings(**SETTINGS).positions == 1 + 18
    assert AudioSettings(**SETTINGS, patch_frames=4, class_tokens=0).positions == 4
    patches = {"patch_frames": 8, "patch_mels": 10, "patch_overlap": 5}
    assert AudioSettings(**SETTINGS, **patches).positions == 1 + 4 * 7
    assert Audio.positions({**SETTINGS, "samples": 1679}) == 19  # only whole frames


@pytest.mark.parametrize("changes, message", [
    ({"rate": 0}, "rate=0"), ({"rate": 8000.0}, "rate=8000.0"), ({"samples": True}, "samples=True"),
    ({"frame": 32}, "from 33 to 8192, got frame=32"), ({"frame": 1700}, "frame=1700"),
    ({"hop": 241}, "hop=241"),
    ({"mels": 0}, "mels=0"), ({"mels": 128}, "mels=128, of which band 5 has none"),
    ({"low": 4000}, "low=4000"), ({"high": 4001}, "high=4001"), ({"low": float("nan")}, "low=nan"),
    ({"low": "0"}, "low='0'"), ({"patch_frames": 19}, "patch_frames=19"),
    ({"patch_overlap": 4, "patch_frames": 8}, "patch_mels=0"),
    ({"patch_mels": 41}, "patch_mels to be an integer from 0 to 40, got patch_mels=41"),
    ({"class_tokens": 2}, "class_tokens=2"), ({"seconds": 1}, "'seconds': 1"),
])  # fmt: skip
def test_settings_are_checked(changes, message):
    with pytest.raises(InputError, match=message):
        AudioSettings.of({**SETTINGS, **changes})


def test_settings_that_are_missing():
    with pytest.raises(InputError, match="with frame, hop, rate, samples, got"):
        AudioSettings.of({})


def test_sounds_shorter_than_a_frame(tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, noise(478), 16_000)
    with pytest.raises(InputError, match="short.wav: .* a frame of 240 samples .* got 239"):
        audio().encode([path])


def test_rows_that_are_no_sounds(tmp_path):
    modality = audio()
    for row in (3, [1, 2], None, np.zeros(10, np.int64), np.zeros((1, 2, 3)), ("a.wav", 8000)):
        with pytest.raises(InputError, match="place 2: expected the path of a sound"):
            modality.checked(["a.wav", row])
    with pytest.raises(InputError, match="Expected a rate in Hz .* got 0"):
        modality.checked([(noise(300), 0)])
    with pytest.raises(TypeError, match="put it in a list"):
        modality.checked(Path("a.wav"))
    with pytest.raises(InputError, match="pairs"):
        modality.checked(["a.wav"], ["b.wav"])
    with pytest.raises(InputError, match="pairs"):
        Audio.specs(SETTINGS, pair=True)


def test_rows_of_tables_are_paths_in_their_folder(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    assert Audio.read_row("a.wav", "t.csv, line 2", tmp_path) == tmp_path / "a.wav"
    with pytest.raises(InputError, match="t.csv, line 3: there is no sound .*b.wav"):
        Audio.read_row("b.wav", "t.csv, line 3", tmp_path)
    with pytest.raises(InputError, match="t.csv, line 4: .*leaves it"):
        Audio.read_row("../a.wav", "t.csv, line 4", tmp_path)
    with pytest.raises(InputError, match="row 5: expected the path of a sound"):
        Audio.read_row(5, "row 5")
