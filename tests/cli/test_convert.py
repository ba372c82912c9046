import gzip
import json
import re
import shutil

import numpy as np
import pytest

from keras_transformer.cli.convert import _compressed_size
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.build import get_weights, set_weights
from tests.cli.calls import call, error_of, fill_disk


@pytest.mark.parametrize(
    "precision", [pytest.param("float16", marks=pytest.mark.slow), "dynamic_int8"]
)
def test_a_float_checkpoint_becomes_a_file(checkpoint, tmp_path, precision):
    out = tmp_path / "model.tflite"
    result = call("convert", checkpoint, "--precision", precision, "--out", out)
    assert result.exit_code == 0
    rows = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if "  " in line)
    assert rows["precision"] == precision
    assert rows["same choice"].endswith("%")
    assert rows["rows compared with the checkpoint"] == "8"
    assert rows["lengths"] == "16"
    # What the check of parity counts: only a precision that rounds may have such rows.
    line = re.search("^rows that depart +(.*)$", result.stdout, re.MULTILINE)
    assert (line is None) == (precision == "float16")
    if line is not None:
        assert line[1] == (
            "0 of 8 (choices that the model finds less than half as likely as its own; 5% may)"
        )
    card = tmp_path / "MODEL_CARD.md"
    assert result.stdout.endswith(f"\nWrote {out}\nWrote {card}\n")
    assert "## model.tflite" in card.read_text(encoding="utf-8")
    assert Runner(out).precision == precision


def test_int8_by_calibration_at_another_length(checkpoint, data, tmp_path):
    out = tmp_path / "model.tflite"
    result = call(
        "convert", checkpoint, "--precision", "int8", "--calibration", data.train,
        "--percentile", 99.99, "--lengths", 12, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0
    assert (Runner(out).max_length, Runner(out).lengths) == (12, [12])


def test_parts_are_as_small_as_the_whole_when_they_are_compressed(monkeypatch):
    data = np.random.default_rng(0).normal(scale=30.0, size=100_000).astype(np.int8).tobytes()
    whole = len(gzip.compress(data))
    assert _compressed_size(data) == whole
    monkeypatch.setattr("keras_transformer.cli.convert._PART", 30_000)
    # Each further part has a header of 18 bytes and codes of its own.
    assert whole < _compressed_size(data) < 1.01 * whole
    assert _compressed_size(b"") == len(gzip.compress(b""))


def test_a_file_for_mediapipe(checkpoint, tmp_path):
    out = tmp_path / "m.tflite"
    words = ("--name", "Films", "--description", "Good or bad.", "--license", "MIT")
    arguments = ("--target", "mediapipe", *words, "--model-version", "2", "--out", out)
    assert call("convert", checkpoint, "--precision", "float32", *arguments).exit_code == 0
    about = Runner(out).description["about"]
    assert list(about.values()) == ["Films", "Good or bad.", "2", "MIT"]
    assert Runner(out).predict(["a fine film"])[0].label == "good"
    arguments = ("--target", "mediapipe", "--embedding", "--out", out, "--overwrite")
    assert call("convert", checkpoint, "--precision", "float32", *arguments).exit_code == 0
    assert Runner(out).embed(["a fine film"]).shape == (1, 16)


@pytest.mark.slow
def test_a_file_for_a_microcontroller(checkpoint, data, tmp_path):
    pytest.importorskip("tflite_micro")
    arguments = (
        "convert", checkpoint, "--precision", "integer", "--calibration", data.train, "--target",
        "micro", "--out", tmp_path / "film-1.tflite",
    )  # fmt: skip
    (tmp_path / "film_1.c").write_text("mine")
    assert error_of(call(*arguments)) == (
        2, f"Error: {tmp_path / 'film_1.c'} exists; choose another path or give --overwrite.",
    )  # fmt: skip
    result = call(*arguments, "--overwrite")
    assert result.exit_code == 0
    assert "arena in TensorFlow Lite Micro" in result.stdout
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"film-1.tflite", "film_1.h", "film_1.c", "film_1_ops.h", "MODEL_CARD.md"}


def test_the_precision_is_the_checkpoints_own(checkpoint, tmp_path):
    out = tmp_path / "model.tflite"
    result = call("convert", checkpoint, "--out", out)
    assert result.exit_code == 0 and "rows that depart" not in result.stdout
    assert Runner(out).precision == "float32"


@pytest.mark.slow
def test_a_folder_is_written_and_replaced(checkpoint, tmp_path):
    out = tmp_path / "folder"
    arguments = ("convert", checkpoint, "--target", "saved_model", "--out", out)
    result = call(*arguments)
    assert result.exit_code == 0
    rows = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if "  " in line)
    assert rows["rows compared with the checkpoint"] == "8"
    assert (rows["target"], rows["lengths"]) == ("saved_model", "any")
    assert float(rows["largest difference of outputs"]) < 1e-4
    card = tmp_path / "MODEL_CARD.md"
    assert result.stdout.endswith(f"\nWrote {out}\nWrote {card}\n")
    assert "## folder" in card.read_text(encoding="utf-8")
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"saved_model/saved_model.pb", "labels.txt", "vocab.txt", "model.json"} < written
    assert json.loads((out / "model.json").read_bytes())["task"]["name"] == "classification"
    assert error_of(call(*arguments)) == (
        2,
        f"Error: {out} exists; choose another path or give --overwrite.",
    )
    assert call(*arguments, "--overwrite").exit_code == 0


def test_a_checkpoint_is_not_overwritten_by_a_folder(checkpoint):
    result = call("convert", "no", "--target", "saved_model", "--out", checkpoint, "--overwrite")
    assert error_of(result) == (
        2,
        f"Error: {checkpoint} exists and is no export, so it is not overwritten; choose another "
        "path.",
    )


def test_int8_without_ranges(checkpoint, tmp_path):
    out = tmp_path / "model.tflite"
    assert error_of(call("convert", checkpoint, "--precision", "int8", "--out", out)) == (
        2,
        "Error: Expected calibration data to convert a float checkpoint to int8; give "
        "--calibration FILE, or train it on with keras-transformer quantize first.",
    )
    assert not out.exists()


def test_calibration_where_it_has_no_use(checkpoint, data, tmp_path):
    result = call(
        "convert", checkpoint, "--precision", "float16", "--calibration", data.train,
        "--out", tmp_path / "model.tflite",
    )  # fmt: skip
    assert error_of(result) == (
        2,
        "Error: Expected calibration data only where a float checkpoint becomes one of integers, "
        "got --precision float16 for a float checkpoint.",
    )


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "the file is empty."),
        (["sentence\tverdict"], "the file has a header but no rows."),
        (["en\tde", *["one\teins"] * 40], "there is no column 'sentence'; the columns are 'en', "
         "'de'."),
        (["sentence", *["a fine film"] * 31], "expected at least 32 rows to calibrate on, got 31; "
         "give the training data or a part of it."),
        (["sentence", *["a fine film"] * 40], "expected rows that differ to calibrate on, got 40 "
         "that are the same for the model; give the training data or a part of it."),
    ],
)  # fmt: skip
def test_mistakes_in_calibration_data(checkpoint, tmp_path, lines, sentence):
    path, out = tmp_path / "rows.tsv", tmp_path / "out"
    path.write_text("".join(f"{line}\n" for line in lines))
    out.mkdir()
    result = call(
        "convert", checkpoint, "--precision", "int8", "--calibration", path, "--out", out / "m",
    )  # fmt: skip
    assert error_of(result) == (2, f"Error: {path}: {sentence}")
    assert result.stderr.count("\n") == 1
    assert list(out.iterdir()) == []


def test_a_checkpoint_that_is_no_numbers(checkpoint, data, tmp_path):
    broken = Checkpoint.load(checkpoint)
    weights = get_weights(broken.model)
    [path] = [path for path in weights if path.endswith("block_0/feed_forward/sublayer/up/bias")]
    weights[path][0] = np.nan
    set_weights(broken.model, weights)
    broken.save(tmp_path / "broken")
    result = call(
        "convert", tmp_path / "broken", "--precision", "int8", "--calibration", data.train,
        "--out", tmp_path / "m.tflite",
    )  # fmt: skip
    assert error_of(result) == (
        2,
        "Error: Expected finite values to calibrate on, got nan in "
        "encoder/block_0/feed_forward/sublayer/up_point; the weights or the rows are broken.",
    )
    assert [one.name for one in tmp_path.iterdir()] == ["broken"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--precision", "int7"], "'int7' is not one of 'float32', 'float16', 'dynamic_int8'"),
        (
            ["--precision", "float32", "--lengths", "8,33"],
            "Error: Expected lengths from 1 to the model's 32, got length=33.",
        ),
        *(
            (
                ["--precision", "float32", "--lengths", value],
                "Error: Invalid value for '--lengths': Expected positive numbers with commas "
                f"between, got '{value}'.",
            )
            for value in ("0", "16,x", "16,-8", "16,,8", "", "8.5")
        ),
        (["--precision", "float32", "--target", "web"], "'web' is not one of 'plain', 'mediapipe'"),
        (
            ["--precision", "float32", "--embedding"],
            "Error: Expected --embedding only with the target mediapipe, got --target plain.",
        ),
        (
            ["--precision", "float32", "--target", "micro"],
            "Error: Expected a precision that the target micro can run, which are integer; got "
            "--precision float32.",
        ),
        (["--precision", "int8", "--calibration", "no.tsv"], "There is no file no.tsv."),
        (
            ["--precision", "int8", "--percentile", "99.9"],
            "Error: Expected --percentile only with calibration data, got --percentile 99.9.",
        ),
    ],
)
def test_mistakes_in_options(checkpoint, tmp_path, arguments, sentence):
    code, line = error_of(call("convert", checkpoint, *arguments, "--out", tmp_path / "m.tflite"))
    assert (code, sentence in line) == (2, True), line
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_exists_is_refused_before_any_work(tmp_path):
    out = tmp_path / "model.tflite"
    out.write_bytes(b"before")
    # There is no such checkpoint, which would be the next thing to be said.
    arguments = ("convert", tmp_path / "no", "--precision", "float32", "--out")
    assert error_of(call(*arguments, out)) == (
        2,
        f"Error: {out} exists; choose another path or give --overwrite.",
    )
    assert error_of(call(*arguments, tmp_path, "--overwrite")) == (
        2,
        f"Error: {tmp_path} is a folder; give the name of a file.",
    )
    assert out.read_bytes() == b"before"


def test_what_cannot_be_written_is_said_before_any_work(tmp_path):
    arguments = ("convert", tmp_path / "no", "--precision", "float32", "--out")
    long = tmp_path / ("n" * 256)
    code, sentence = error_of(call(*arguments, long))
    assert (code, sentence[:28], sentence.count("\n")) == (1, "Error: File name too long: /", 0)
    (tmp_path / "MODEL_CARD.md").mkdir()
    for target in ("plain", "micro", "onnx"):
        sentence = f"Error: {tmp_path}/MODEL_CARD.md is a folder; give the name of a file."
        found = call(*arguments, tmp_path / "m", "--target", target)
        assert error_of(found) == (2, sentence)
    assert [path.name for path in tmp_path.iterdir()] == ["MODEL_CARD.md"]


def test_a_full_disk_leaves_what_was_there(checkpoint, tmp_path, monkeypatch):
    out = tmp_path / "model.tflite"
    out.write_bytes(b"before")
    # The converter writes to the temporary folder by its own means.
    fill_disk(monkeypatch)
    result = call("convert", checkpoint, "--precision", "float32", "--out", out, "--overwrite")
    assert error_of(result) == (1, f"Error: No space left on device: {out}.")
    assert out.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [out]


def test_a_damaged_checkpoint(checkpoint, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    arguments = ("convert", copy, "--precision", "float32", "--out", tmp_path / "m.tflite")
    (copy / "labels.txt").write_text("bad\nworse\n")
    assert error_of(call(*arguments)) == (
        2,
        f"Error: The checkpoint {copy} was changed after it was written: labels.txt does not "
        "match manifest.json.",
    )
    (copy / "labels.txt").unlink()
    assert error_of(call(*arguments)) == (
        2,
        f"Error: The checkpoint {copy} lacks its file labels.txt.",
    )
    (copy / "manifest.json").unlink()
    assert error_of(call(*arguments)) == (
        2,
        f"Error: {copy} is no checkpoint: it has no manifest.json.",
    )
    assert not (tmp_path / "m.tflite").exists()
