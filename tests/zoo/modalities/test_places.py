"""Rows that cannot be read are named by their place: the line of a table, or the row in memory."""

from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import soundfile

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.media.class_folders import RowFile, named_file, row_file
from keras_transformer.zoo.modalities.audio import Audio
from keras_transformer.zoo.modalities.image import Image
from keras_transformer.zoo.modalities.speech import Speech
from keras_transformer.zoo.suited.media import suited_to_pictures, suited_to_sounds
from keras_transformer.zoo.tasks.classification import Classification
from tests.picture_tables import write_table

PICTURES = Image(max_length=5, settings={"height": 8, "width": 8, "patch": 4})
SOUNDS = Audio(
    max_length=9, settings={"rate": 8000, "samples": 800, "frame": 240, "hop": 80, "mels": 8}
)
SILENCE = np.zeros((3, 800), np.float32)


@pytest.fixture
def table(tmp_path):
    """A table of three pictures, of which the second is none."""
    pictures = np.zeros((3, 8, 8, 3), np.uint8)
    path = write_table(tmp_path, pictures, {"label": ["a", "b", "a"]})
    (tmp_path / "pictures" / "0_1.png").write_bytes(b"no picture")
    return path


def test_a_picture_that_a_table_names(table):
    examples = Classification(modality="image").read(table, {"image": "picture"})
    wanted = rf"^{table}, line 3: .*0_1.png: expected a JPEG, PNG or WebP picture, got"
    with pytest.raises(InputError, match=wanted):
        PICTURES.encode(examples.texts)
    with pytest.raises(InputError, match=wanted):
        suited_to_pictures(examples.texts, {})


@pytest.mark.parametrize("damage", ["bytes", "NaN", "truncated"])
def test_a_sound_that_a_table_names(tmp_path, damage):
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", SILENCE[0], 8000, subtype="FLOAT")
    bad = tmp_path / "b.wav"
    if damage == "NaN":
        soundfile.write(bad, np.full(800, np.nan, np.float32), 8000, subtype="FLOAT")
    else:
        bad.write_bytes(b"RIFF" if damage == "bytes" else bad.read_bytes()[:-100])
    table = tmp_path / "rows.csv"
    table.write_text("audio,label\na.wav,x\nb.wav,y\n")
    examples = Classification(modality="audio").read(table)
    with pytest.raises(InputError, match=rf"^{table}, line 3: {bad}: expected "):
        SOUNDS.encode(examples.texts)
    if damage == "bytes":
        with pytest.raises(InputError, match=rf"^{table}, line 3: {bad}: expected "):
            suited_to_sounds(examples.texts, {})


@pytest.mark.parametrize(("value", "said"), [(np.nan, "got nan"), (-np.inf, "got -inf"), (9, "9")])
@pytest.mark.parametrize("kind", ["npz", "arrays", "pairs", "predicted"])
def test_samples_in_memory_that_are_none(tmp_path, value, said, kind):
    samples = SILENCE.copy()
    samples[1, 7] = value
    task, labels = Classification(modality="audio"), ["x", "y", "x"]
    place = {"npz": "rows.npz, row 2", "predicted": "^place 2"}.get(kind, "^data, row 2")
    with pytest.raises(InputError, match=f"{place}: expected .*{said}"):
        if kind == "npz":
            np.savez(tmp_path / "rows.npz", audio=samples, label=labels)
            task.read(tmp_path / "rows.npz")
        elif kind == "arrays":
            task.read((samples, labels))
        elif kind == "pairs":
            task.read(([(one, 8000) for one in samples], labels))
        else:
            SOUNDS.checked(samples)


@pytest.mark.parametrize(
    ("row", "said"),
    [("", "line 3: expected the path of a sound, got ''"), ("folder", "a sound, got the folder")],
)
def test_a_table_without_a_path(tmp_path, row, said):
    (tmp_path / "folder").mkdir()
    soundfile.write(tmp_path / "a.wav", SILENCE[0], 8000)
    table = tmp_path / "rows.csv"
    table.write_text(f"audio,label\na.wav,x\n{row},y\n")
    with pytest.raises(InputError, match=said):
        Classification(modality="audio").read(table)


def test_arrays_in_messages_are_short():
    with pytest.raises(InputError, match=r"^an array of float32, shape \(9,\), with the rate"):
        SOUNDS.encode([(np.zeros(9, np.float32), 8000)])
    with pytest.raises(InputError, match=r"^place 1: .* got an array of int32, shape \(9,\)\."):
        SOUNDS.checked([np.zeros(9, np.int32)])
    with pytest.raises(InputError, match=r"^place 1: Expected a rate .*, got 0.5\.$"):
        SOUNDS.checked([(np.zeros(9, np.float32), np.float64(0.5))])


def test_speech_names_its_rows():
    with pytest.raises(InputError, match="^t.npz, row 2: expected finite samples, got nan in 800"):
        Speech.read_row(np.full(800, np.nan, np.float32), "t.npz, row 2")


@pytest.mark.parametrize("values", [np.full((8, 8, 3), np.nan), np.zeros((8, 8, 3)) / 255])
def test_pixels_in_memory_that_are_none(values):
    good = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="^data, row 2: Expected pixels .* an array of float64"):
        Classification(modality="image").read(([good, values], ["a", "b"]))
    with pytest.raises(InputError, match="^place 2: Expected pixels .* an array of float64"):
        PICTURES.checked([good, values])


def test_a_place_is_that_of_tables_alone(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"")
    found = row_file("a.wav", "t.tsv, line 2", tmp_path, "sound")
    assert found == path and isinstance(found, Path)
    assert named_file(found) == f"t.tsv, line 2: {path}"
    # As the processes that run a file get the rows.
    sent = ForkingPickler.loads(bytes(ForkingPickler.dumps(found)))
    assert named_file(sent) == named_file(found)
    assert not isinstance(row_file(path, "data, row 1", None, "sound"), RowFile)
    assert named_file(path) == named_file(str(path)) == str(path)
