"""Images through the command: from a folder of files to predictions of a `.tflite` file."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.cli.calls import call
from tests.zoo.modalities.test_image import write_folder

SMALL = ("num_layers=1", "hidden_dim=16", "intermediate_dim=32", "num_heads=2")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed, (name, count) in enumerate((("train", 96), ("dev", 32))):
        write_folder(folder / name, count, seed)
    return folder


@pytest.fixture(scope="module")
def model(photos):
    settings = [part for one in SMALL for part in ("--set", one)]
    result = call(
        "train", "--train", photos / "train", "--validation", photos / "dev", "--epochs", 5,
        "--learning-rate", 0.01, *settings, "--out", photos / "model",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    # Without a model's name, the kind of the files chooses it, and their size that of the input.
    assert "suit model cct_4" in result.output
    return photos / "model"


def test_a_folder_becomes_a_file_that_predicts(photos, model):
    file = photos / "model.tflite"
    result = call(
        "convert", model, "--precision", "int8", "--calibration", photos / "train", "--out", file
    )
    assert result.exit_code == 0, result.output
    paths = sorted((photos / "dev").rglob("*.*"))[:2]
    result = call("run", file, *paths)
    assert result.exit_code == 0, result.output
    assert "Image" in result.output.splitlines()[0]
    found = json.loads(call("run", file, *paths, "--json").output)["predictions"]
    assert [one["image"] for one in found] == [str(one) for one in paths]
    assert [one["label"] for one in found] == [one.parent.name for one in paths]
    for command in (("evaluate", file), ("compare", model, file)):
        result = call(*command, "--data", photos / "dev", "--json")
        assert result.exit_code == 0, result.output
    assert json.loads(call("evaluate", file, "--data", photos / "dev", "--json").output)


def test_wrong_rows_are_named_by_their_paths(photos, model, tmp_path):
    table = tmp_path / "rows.tsv"
    [path, *_] = sorted((photos / "dev" / "falls").glob("*.*"))
    (tmp_path / path.name).write_bytes(path.read_bytes())
    table.write_text(f"image\tlabel\n{path.name}\trises\n")
    result = call("evaluate", model, "--data", table, "--errors", tmp_path / "wrong.csv")
    assert result.exit_code == 0, result.output
    header, row = (tmp_path / "wrong.csv").read_text().splitlines()
    assert header.startswith("line,image,label,prediction")
    assert row.startswith(f"2,{tmp_path / path.name},rises,falls")


def test_workers_end_with_a_mistake(photos, model, tmp_path):
    file = photos / "workers.tflite"
    assert call("convert", model, "--precision", "float32", "--out", file).exit_code == 0
    (tmp_path / "note.png").write_text("no picture")
    paths = [*sorted((photos / "dev").rglob("*.*"))[:2], tmp_path / "note.png"]
    # In a process of its own, whose output is filtered: it did not end before.
    program = "from keras_transformer.cli.main import run; run()"
    child = subprocess.run(
        [sys.executable, "-c", program, "run", str(file), *map(str, paths), "--workers", "2"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert child.returncode == 2
    assert "note.png: expected a JPEG, PNG or WebP picture" in child.stderr


def test_mistakes(photos, model, tmp_path):
    (tmp_path / "note.txt").write_text("no picture")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:40])
    for arguments, message in (
        (("run", model, tmp_path / "none.png"), "There is no file .*none.png"),
        (("run", model, tmp_path / "note.txt"), "note.txt: expected a JPEG, PNG or WebP picture"),
        (("run", model, tmp_path / "cut.png"), "cut.png: expected a JPEG, PNG or WebP picture"),
        (("evaluate", model, "--data", tmp_path / "note.txt"), "note.txt: expected a folder with"),
        (("evaluate", model, "--data", tmp_path), "got the file cut.png"),
        (
            ("train", "vit_tiny", "--train", photos / "train", "--validation", photos / "dev",
             "--max-length", 20, "--out", tmp_path / "out"), "Expected no --max-length for a model",
        ),
        (
            ("train", "bert_tiny", "--train", photos / "train", "--validation", 0.1, "--out",
             tmp_path / "out"), "train: expected a table",
        ),
    ):  # fmt: skip
        result = call(*arguments)
        assert result.exit_code == 2
        assert len(result.output.strip().splitlines()) <= 2
        assert re.search(message, result.output), result.output
    assert not (tmp_path / "out").exists()
