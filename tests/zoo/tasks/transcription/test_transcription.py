"""Transcription: a small model of spoken notes, from a table of clips to `.tflite` files."""

import csv
import json

import numpy as np
import pytest
import soundfile

import keras_transformer as kt
from keras_transformer.cli.main import main
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from tests.slow import mostly_slow

RATE, WINDOW = 8000, 3200
CONFIG = TransformerConfig(
    architecture="encoder-decoder", modality="speech", vocab_size=64, max_length=8, hidden_dim=32,
    intermediate_dim=64, num_layers=1, num_heads=2, dropout=0.0, attention_dropout=0.0,
    pre_norm=True, epsilon=1e-5, modality_settings={
        "rate": RATE, "samples": WINDOW, "frame": 200, "hop": 80, "mels": 20
    },
)  # fmt: skip
NOTES = {"low": 300, "mid": 900, "high": 2400}


def sounds(count, seed):
    """Two notes one after the other, of any loudness, and their names."""
    rng = np.random.default_rng(seed)
    rows, texts = [], []
    for _ in range(count):
        names = rng.choice(list(NOTES), 2)
        parts = []
        for name in names:
            length = rng.integers(1100, 1500)
            pitch = rng.uniform(0.9, 1.1) * NOTES[name]
            tone = np.sin(2 * np.pi * np.arange(length) * pitch / RATE) * np.hanning(length)
            parts.append(tone * rng.uniform(0.1, 0.5) + rng.normal(0, 1e-3, length))
        rows.append(np.concatenate(parts).astype(np.float32))
        texts.append(" ".join(names))
    return rows, texts


def write_table(folder, count, seed):
    """A folder of clips, and a table of their paths and what they say."""
    folder.mkdir()
    with open(folder / "clips.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("audio", "text"))
        for place, (row, text) in enumerate(zip(*sounds(count, seed), strict=True)):
            name = f"{place}.{('wav', 'flac')[place % 2]}"
            soundfile.write(folder / name, row, RATE)
            writer.writerow((name, text))
    return folder / "clips.csv"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    return {
        name: write_table(root / name, count, seed)
        for seed, (name, count) in enumerate((("train", 512), ("dev", 48), ("test", 40)))
    }


@pytest.fixture(scope="module")
def trained(tables, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "checkpoint"
    kt.train(
        CONFIG, "transcription", train=str(tables["train"]), validation=str(tables["dev"]),
        out=out, epochs=14, learning_rate=5e-3, batch_tokens=32 * 20, tokenizer="wordpiece",
        max_length=8,
    )  # fmt: skip
    return kt.load(out)


@pytest.fixture(scope="module")
def file(trained):
    return kt.convert(trained)


def test_it_learns_from_a_table_of_clips(trained, tables):
    assert trained.metrics["validation"]["wer"] == 0.0
    found = trained.evaluate(str(tables["test"]))
    assert found == {"rows": 40, "truncated": 0, "wer": 0.0, "exact_match": 1.0}
    rows, texts = sounds(40, seed=2)
    assert trained.evaluate((rows, texts)) == found
    assert trained.transcribe(rows[0]) == texts[0]
    assert trained.transcribe([(rows[0], RATE), rows[1]]) == texts[:2]


@pytest.mark.parametrize(
    "precision", mostly_slow(["dynamic_int8", "int8", "int4", "static_int8", "int16x8"], ["int8"])
)
def test_its_files_write_the_same(trained, tables, precision):
    static = PRECISIONS[precision].is_static
    file = kt.convert(trained, precision, calibration=str(tables["train"]) if static else None)
    runner = Runner(file)
    assert runner.modality.name == "speech"
    rows, texts = sounds(40, seed=2)
    assert runner.generate(rows) == texts


def test_the_file_has_a_signature_for_sounds(trained, file):
    rows, texts = sounds(40, seed=2)
    assert Runner(file).generate(rows) == texts
    shapes = kt.inspect(file).signatures
    [sound] = [one for one in shapes["encode"] if one.role == "input"]
    assert (sound.name, sound.type, tuple(sound.shape)) == ("waveform", "FLOAT32", (1, WINDOW))
    assert "memory_mask" not in {one.name for one in shapes["decode"]}


def test_a_file_is_compared_by_its_word_errors(trained, file, tables):
    [found] = kt.compare(trained, file, str(tables["test"]))
    assert (found.metric, found.value, found.checkpoint_value) == ("wer", 0.0, 0.0)
    assert found.parity.agreement == 1.0 and found.parity.largest < 1e-3


def test_the_command_line_transcribes(trained, file, tables, tmp_path, capsys):
    path = tmp_path / "notes.tflite"
    file.save(path)
    clips = sorted(tables["test"].parent.glob("*.wav"))[:2]
    texts = trained.generate(clips)
    main(["run", str(path), str(clips[0])], standalone_mode=False)
    assert capsys.readouterr().out.strip() == texts[0]
    main(["run", str(path), *map(str, clips), "--json"], standalone_mode=False)
    rows = json.loads(capsys.readouterr().out)["predictions"]
    assert [(row["audio"], row["generated"]) for row in rows] == [
        (str(clip), text) for clip, text in zip(clips, texts, strict=True)
    ]
    main(["evaluate", str(path), "--data", str(tables["test"]), "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["wer"] == 0.0


def test_longer_sounds_are_windows_and_cut_in_training(trained):
    rows, texts = sounds(6, seed=3)
    # Notes end in silence, where windows are cut.
    long = np.concatenate([*rows[:3]])
    assert len(trained.modality.windows(long)) >= 3
    assert trained.encode([long]).truncated == [True]
    assert all(word in NOTES for word in trained.transcribe(long).split())
    assert trained.generate(rows) == texts


@pytest.mark.slow
def test_quantization_aware_training_and_its_file(trained, tables):
    rows, texts = sounds(40, seed=2)
    small = kt.quantize(trained, "int8", epochs=1)
    assert small.generate(rows) == texts
    assert Runner(kt.convert(small, "int8")).generate(rows) == texts


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (np.zeros(20, np.float32), "a sound of at least a frame of 200 samples at 8000 Hz, got 20"),
        (np.full(WINDOW, np.nan, np.float32), "expected finite samples"),
        (np.zeros(WINDOW, np.int64), "place 1: expected the path of a sound, its bytes"),
        ("nowhere.wav", "There is no"),
        ((np.zeros(WINDOW, np.float32), 0), "Expected a rate in Hz to be an integer from 1 to"),
    ],
)
def test_what_is_no_sound_is_named(trained, row, message):
    with pytest.raises((InputError, FileNotFoundError), match=message):
        trained.transcribe(row)


def test_texts_and_sounds_are_told_apart(trained, tmp_path):
    rows, _ = sounds(2, seed=4)
    with pytest.raises(InputError, match=r"expected a text in column 'text', got none"):
        trained.evaluate((rows, ["low low", " "]))
    with pytest.raises(InputError, match="Expected language to be none, for a model of one"):
        trained.transcribe(rows[0], language="de")
    with pytest.raises(InputError, match="a precision other than integer for a model that reads"):
        kt.convert(trained, "integer", calibration=(rows * 20, ["low low"] * 40))
    with pytest.raises(InputError, match="Expected the architecture of a model that reads speech"):
        CONFIG.replace(architecture="encoder", max_length=20)
