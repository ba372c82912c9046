"""Names of files and folders that are not UTF-8, as an older system or another locale has them."""

import json
import os
import shutil

import pytest

from tests.cli.calls import call, error_of

NAME = os.fsdecode(b"caf\xe9")
SHOWN = r"caf\udce9"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, checkpoint, file, data):
    """A folder of such a name, with a checkpoint, a file and data of such names."""
    folder = tmp_path_factory.mktemp("names") / NAME
    shutil.copytree(checkpoint, folder / NAME)
    shutil.copy(file, folder / f"{NAME}.tflite")
    shutil.copy(data.validation, folder / f"{NAME}.tsv")
    return folder


READ = {
    "run": (".tflite", "a"),
    "inspect": (".tflite",),
    "evaluate": (".tflite", "--data", ".tsv"),
    "benchmark": (".tflite", "--runs", "1"),
}


@pytest.mark.parametrize("name", READ)
def test_files_of_such_names_are_read_and_printed(folder, name):
    words = [folder / f"{NAME}{word}" if word[0] == "." else word for word in READ[name]]
    assert call(name, *words).exit_code == 0
    result = call(name, *words, "--json")
    assert result.exit_code == 0, result.stderr
    # No lone surrogate, which JSON of other programs has not.
    text = json.dumps(json.loads(result.stdout_bytes), ensure_ascii=False)
    assert text.encode().decode() == text
    assert name == "inspect" or r"caf\\udce9.tflite" in text


def test_a_checkpoint_is_not_read_or_written_under_such_a_name(folder, file, checkpoint, tmp_path):
    for words in (
        ("run", folder / NAME, "a"), ("compare", folder / NAME, file, "--data", file),
        ("convert", checkpoint, "--out", tmp_path / f"{NAME}.tflite"),
    ):  # fmt: skip
        code, sentence = error_of(call(*words))
        assert code == 2
        assert sentence.startswith("Error: Expected a path in UTF-8, got /")
        assert SHOWN in sentence and sentence.endswith("; rename what has another name.")


def test_data_of_a_run_have_names_that_a_recipe_holds(folder, data, checkpoint, tmp_path):
    train = folder / f"{NAME}.tsv"
    for words in (("train", *data.arguments), ("quantize", checkpoint)):
        code, sentence = error_of(call(*words, "--train", train, "--out", tmp_path / "out"))
        assert code == 2
        assert sentence.startswith("Error: Expected --train to be UTF-8 without NUL, as a recipe")
        assert SHOWN in sentence and sentence.endswith("; rename what has another name.")
    assert not (tmp_path / "out").exists()
