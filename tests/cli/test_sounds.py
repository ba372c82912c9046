"""Sounds through the command: from a folder of clips to predictions of a `.tflite` file."""

import json
import re

import numpy as np
import pytest
import soundfile

from tests.cli.calls import call
from tests.zoo.modalities.test_audio_files import write_folder

SMALL = ("num_layers=1", "hidden_dim=16", "intermediate_dim=32", "num_heads=2")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for seed, (name, count) in enumerate((("train", 96), ("dev", 32))):
        write_folder(folder / name, count, seed)
    return folder


@pytest.fixture(scope="module")
def model(clips):
    settings = [part for one in SMALL for part in ("--set", one)]
    result = call(
        "train", "--train", clips / "train", "--validation", clips / "dev", "--epochs", 10,
        "--learning-rate", 0.01, "--batch-tokens", 256, *settings, "--out", clips / "model",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    # Without a model's name, the kind of the files chooses it, and their rate and length its own.
    assert re.search("suit model kwt_tiny.* rate 8000, samples 3200", result.output)
    return clips / "model"


def test_a_folder_becomes_a_file_that_predicts(clips, model):
    file = clips / "model.tflite"
    result = call(
        "convert", model, "--precision", "int8", "--calibration", clips / "train", "--out", file
    )
    assert result.exit_code == 0, result.output
    paths = sorted((clips / "dev").rglob("*.*"))[:2]
    result = call("run", file, *paths)
    assert result.exit_code == 0, result.output
    assert "Audio" in result.output.splitlines()[0]
    found = json.loads(call("run", file, *paths, "--json").output)["predictions"]
    assert [one["audio"] for one in found] == [str(one) for one in paths]
    assert [one["label"] for one in found] == [one.parent.name for one in paths]
    for command in (("evaluate", file), ("compare", model, file)):
        result = call(*command, "--data", clips / "dev", "--json")
        assert result.exit_code == 0, result.output


def test_a_table_that_names_its_column(clips, model, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(4000, np.int16), 8000)
    (tmp_path / "rows.csv").write_text("clip,kind\na.wav,high\na.wav,low\n")
    columns = ("--audio", "clip", "--label", "kind")
    result = call("evaluate", model, "--data", tmp_path / "rows.csv", *columns)
    assert result.exit_code == 0, result.output
    assert "2 of 2 rows" in result.output and "longer than 0.4 seconds" in result.output


def test_mistakes(clips, model, tmp_path):
    (tmp_path / "note.txt").write_text("no sound")
    soundfile.write(tmp_path / "whole.wav", np.zeros(400, np.int16), 8000)
    soundfile.write(tmp_path / "short.wav", np.zeros(200, np.int16), 8000)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:400])
    for arguments, message in (
        (("run", model, tmp_path / "none.wav"), "There is no file .*none.wav"),
        (("run", model, tmp_path / "note.txt"), "note.txt: expected a WAV or FLAC file"),
        (("run", model, tmp_path / "cut.wav"), "cut.wav: expected a whole sound, .* truncated"),
        (("run", model, tmp_path / "short.wav"), "short.wav: expected .* got 200"),
        (("evaluate", model, "--data", tmp_path), "got the file cut.wav"),
        (
            ("train", "kwt_tiny", "--train", clips / "train", "--validation", clips / "dev",
             "--max-length", 20, "--out", tmp_path / "out"), "Expected no --max-length for a model",
        ),
        (
            ("train", "kwt_tiny", "--train", clips / "train", "--validation", clips / "dev",
             "--image", "clip", "--out", tmp_path / "out"), "Expected no .*image",
        ),
    ):  # fmt: skip
        result = call(*arguments)
        assert result.exit_code == 2, result.output
        assert len(result.output.strip().splitlines()) <= 2
        assert re.search(message, result.output), result.output
    assert not (tmp_path / "out").exists()


def test_streams(clips, model, tmp_path):
    tone = [read_samples(path) for path in sorted((clips / "dev" / "high").iterdir())[:2]]
    sound = np.concatenate([*tone, np.zeros(4000, np.int16)])
    soundfile.write(tmp_path / "long.wav", sound, 8000)
    options = ("--stream", "--threshold", 0.5, "--refractory", 2)
    result = call("run", model, tmp_path / "long.wav", *options)
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r" +0\.\d\d s  +\d+\.\d%  high\n", result.stdout), result.stdout
    result = call("run", model, tmp_path / "long.wav", *options, "--json")
    [found] = json.loads(result.stdout)["streams"]
    assert found["audio"] == str(tmp_path / "long.wav")
    assert [one["label"] for one in found["detections"]] == ["high"]
    # The same samples from standard input, which need not end with a whole one.
    result = call("run", model, *options, "--json", input=sound.astype("<i2").tobytes() + b"\0")
    assert json.loads(result.stdout)["streams"] == [{**found, "audio": None}]
    for arguments, message in (
        (("--hop", 0.2), "--hop only with --stream, got --hop 0.2"),
        (("--stream", "--hop", 9), "hop to be from .* got --hop 9"),
        (("--stream", "--ignore", "hum"), "got --ignore '?hum"),
        (("--stream", "--pair", "x"), "no --pair for a model of single sounds, got 'x'"),
    ):
        result = call("run", model, tmp_path / "long.wav", *arguments)
        assert result.exit_code == 2 and re.search(message, result.output), result.output
    soundfile.write(tmp_path / "short.wav", sound[:100], 8000)
    result = call("run", model, tmp_path / "short.wav", "--stream")
    assert result.exit_code == 0 and "short.wav is shorter than the model's window" in result.output
    result = call("run", model, "--stream", input=(tmp_path / "long.wav").read_bytes())
    assert result.exit_code == 2 and "got a WAV or FLAC file" in result.output, result.output


def read_samples(path):
    return soundfile.read(path, dtype="int16")[0]
