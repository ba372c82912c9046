"""Odd values of options, recipes and files are mistakes of the user: one sentence, exit code 2."""

import hashlib
import json
import shutil

import click
import pytest

from keras_transformer.cli.convert import lengths_of
from keras_transformer.cli.main import COMMANDS, main
from keras_transformer.cli.search import shares_of
from tests.cli.calls import call

DEEP = "[" * 100_000 + "]" * 100_000


def refused(*arguments) -> str:
    result = call(*arguments)
    sentence = result.stderr.splitlines()[-1]
    assert result.exit_code == 2, result.output
    assert sentence.startswith("Error: ") and len(sentence) < 1100
    return sentence


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("hidden_dim=1099511627776", "GB of memory, got one of at least"),
        ("num_layers=3000000", "GB of memory, got one of at least"),
        ("max_length=1099511627776", "GB of memory, got one of at least"),
        (f"hidden_dim={10**300}", "below 2**63"),
        (f"hidden_dim={'9' * 5000}", "got hidden_dim='999"),
        (f"dropout={DEEP}", "few brackets"),
        ("dropout=NaN", "dropout=nan"),
    ],
    ids=range(7),
)
def test_settings_of_a_model(checkpoint, tmp_path, setting, expected):
    out = tmp_path / "out"
    recipe = checkpoint / "recipe.json"
    assert expected in refused("train", "--recipe", recipe, "--set", setting, "--out", out)
    if "dropout" not in setting:
        student = ("distill", checkpoint, "bert_tiny", "--set", setting)
        assert expected in refused(*student, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("option", ["batch_tokens", "epochs", "max_length", "bucket", "patience"])
def test_numbers_beyond_the_machines(checkpoint, tmp_path, option):
    recipe, flag = checkpoint / "recipe.json", f"--{option.replace('_', '-')}"
    arguments = ("train", "--recipe", recipe, flag, 10**30, "--out", tmp_path / "out")
    assert f"Expected {option} to be below 2**31" in refused(*arguments)


def test_a_batch_that_does_not_fit(checkpoint, tmp_path, monkeypatch):
    from keras_transformer.zoo.models import memory

    monkeypatch.setattr(memory, "_BLOCK", 0)
    monkeypatch.setattr(memory, "machine_bytes", lambda: 80_000)
    arguments = ("train", "--recipe", checkpoint / "recipe.json", "--batch-tokens", 2**30)
    said = refused(*arguments, "--out", tmp_path / "out")
    assert "training on batches of" in said and "lower batch_tokens" in said


@pytest.mark.parametrize("text", [DEEP, '{"task":' * 100_000, f'{{"task": {DEEP}}}'])
def test_a_recipe_nested_too_deep(tmp_path, text):
    path = tmp_path / "recipe.json"
    path.write_text(text, encoding="utf-8")
    assert str(path) in refused("train", "--recipe", path, "--out", tmp_path / "out")


@pytest.mark.parametrize("name", ["manifest.json", "tokenizer.json", "recipe.json"])
def test_a_checkpoint_nested_too_deep(checkpoint, tmp_path, name):
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    (folder / name).write_text(DEEP, encoding="utf-8")
    manifest = json.loads((checkpoint / "manifest.json").read_text(encoding="utf-8"))
    if name in manifest["sha256"]:
        manifest["sha256"][name] = hashlib.sha256(DEEP.encode()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert name in refused("run", folder, "a")


@pytest.mark.parametrize("value", ["a\0b", "caf\udce9", "\ud800"])
def test_paths_of_a_recipe(checkpoint, tmp_path, value):
    recipe = json.loads((checkpoint / "recipe.json").read_text(encoding="utf-8"))
    recipe["data"]["train"] = value
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    assert f"got train={value!r}" in refused("train", "--recipe", path, "--out", tmp_path / "out")


@pytest.mark.parametrize("lengths", ["9" * 5000, "0", "1,,2", "²"])
def test_lengths(checkpoint, tmp_path, lengths):
    arguments = ("convert", checkpoint, "--lengths", lengths, "--out", tmp_path / "a.tflite")
    assert "Expected positive numbers" in refused(*arguments)


def test_curves_that_cannot_be_written(checkpoint, data, tmp_path):
    result = call(
        "train", "--recipe", checkpoint / "recipe.json", "--tensorboard", data.train / "curves",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"Error: Not a directory: {data.train / 'curves'}."
    assert not (tmp_path / "out").exists()


def parameters():
    for name in COMMANDS:
        for parameter in main.get_command(click.Context(main), name).params:
            if isinstance(parameter.type, type(click.INT) | type(click.FLOAT)):
                yield pytest.param(parameter, id=f"{name}-{parameter.name}")


@pytest.mark.parametrize("parameter", list(parameters()))
def test_numbers_of_options_are_in_plain_digits(parameter):
    """Python reads `1_0` and the digits of other scripts as numbers, too."""
    for written in ("1_0", "１０", "٣"):
        with pytest.raises(click.BadParameter, match=f"'{written}' is not a valid "):
            parameter.type.convert(written, parameter, None)


def test_lists_of_numbers_are_in_plain_digits():
    for written in ("0.5,0_1", "0.5,٣", "0.5,"):
        with pytest.raises(click.BadParameter, match="Expected numbers with commas between"):
            shares_of(None, None, written)
    for written in ("1_6,32", "１６", "16,"):
        with pytest.raises(click.BadParameter, match="Expected positive numbers with commas"):
            lengths_of(None, None, written)
    assert (shares_of(None, None, "0.5, 0.8"), lengths_of(None, None, "16, 32")) == (
        [0.5, 0.8], [16, 32]
    )  # fmt: skip
