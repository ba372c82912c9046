"""The speech modality: its settings, windows and files."""

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.speech import SCRIPT_FILE, Script, Speech, SpeechSettings
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

SETTINGS = {"rate": 1000, "samples": 400, "frame": 40, "hop": 20, "mels": 8}


def speech(**changes):
    tokenizer = Tokenizer(TokenizerConfig(kind="bytes"))
    return Speech(max_length=8, settings=SETTINGS, tokenizer=tokenizer, **changes)


def test_positions_are_pairs_of_frames():
    assert SpeechSettings().positions == 1500
    [spec] = speech().inputs()
    assert (spec.name, spec.shape, spec.positions) == ("waveform", (400,), 10)


def test_windows_are_all_of_a_sound_and_cut_where_it_is_quiet():
    sound = np.ones(1000, np.float32)
    sound[310:410] = 0
    windows = speech().windows(sound)
    # The middle of the last quiet tenth of a second in the window.
    assert np.count_nonzero(windows[0]) == 310 and np.count_nonzero(windows[1]) >= 267
    assert sum(one.sum() for one in windows) == sound.sum()
    assert all(len(one) == 400 for one in windows)
    [whole] = speech().windows(sound[:400])
    np.testing.assert_array_equal(whole, sound[:400])


def test_short_sounds_have_zeros_behind_them_and_long_ones_are_cut():
    rows = [np.ones(100, np.float32), np.ones(500, np.float32)]
    found = speech().encode(rows)
    assert [int(one.sum()) for one in found.columns["waveform"]] == [100, 400]
    assert found.truncated == [False, True]


def test_its_files_are_read_again():
    script = Script(prompt=(5, 6), suppressed=(7,), suppressed_first=(8, 9))
    files = speech(script=script).files()
    again = Speech.from_files(files, max_length=8, settings=SETTINGS)
    assert again.script == script and again.prompt == (5, 6)
    assert speech().prompt == (speech().tokenizer.cls_id,)
    assert set(files) <= Speech.file_names()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "to be JSON"),
        (b"[]", "to hold prompt, suppressed, suppressed_first"),
        (b'{"prompt": [1], "suppressed": [], "suppressed_first": [300]}', "to be ids below 261"),
        (b'{"prompt": [true], "suppressed": [], "suppressed_first": []}', "prompt of speech.json"),
    ],
)
def test_a_damaged_script_is_named(data, message):
    files = {**speech().files(), SCRIPT_FILE: data}
    with pytest.raises(InputError, match=message):
        Speech.from_files(files, max_length=8, settings=SETTINGS)


def test_a_file_without_a_script_is_none():
    files = {name: data for name, data in speech().files().items() if name != SCRIPT_FILE}
    with pytest.raises(InputError, match="Expected a file speech.json, got none"):
        Speech.from_files(files, max_length=8, settings=SETTINGS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame": 41}, "an even frame of at least two hops, .* got frame=41"),
        ({"hop": 30}, "an even frame of at least two hops, .* hop=30"),
        ({"samples": 410}, "a multiple of two hops, 40 samples, got samples=410"),
        ({"mels": 0}, "mels to be an integer from 1 to 512"),
        ({"low": 20}, "the settings of the modality speech among rate, samples"),
    ],
)
def test_impossible_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        SpeechSettings.of({**SETTINGS, **changes})
