"""What commands print survives any encoding of the streams, and no terminal obeys it."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from keras_transformer.cli.main import main
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.tasks.classification import Classification
from tests.cli.calls import GOOD, call, write_table

LABELS = ("ดี", "\x1b]0;gotcha\x07")
TEXT = "映画 was \x9b good"
# What a terminal obeys; rich prints none of it where there is no terminal.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e]")


@pytest.fixture(scope="module")
def foreign(checkpoint, tmp_path_factory):
    """A checkpoint with labels of another script and of control characters, its file and data."""
    folder = tmp_path_factory.mktemp("foreign")
    loaded = Checkpoint.load(checkpoint)
    labelled = dataclasses.replace(loaded, task=Classification(labels=LABELS))
    labelled.save(folder / "checkpoint")
    result = call(
        "convert", folder / "checkpoint", "--out", folder / "file.tflite", "--name", LABELS[1],
        "--description", "ดี \u202e",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    write_table(folder / "data.tsv", [(f"{text} 映画", LABELS[0]) for text in GOOD])
    return folder


def calls(folder):
    """Arguments of a call of each way to print."""
    file, checkpoint, data = (folder / name for name in ("file.tflite", "checkpoint", "data.tsv"))
    return {
        "run": ("run", file, TEXT),
        "run two": ("run", file, TEXT, "x" * 70),
        "run json": ("run", file, TEXT, "--json"),
        "inspect": ("inspect", file),
        "inspect json": ("inspect", file, "--json"),
        "evaluate": ("evaluate", file, "--data", data, "--per-class"),
        "evaluate json": ("evaluate", file, "--data", data, "--json"),
        "compare": ("compare", checkpoint, file, "--data", data),
        "benchmark": ("benchmark", file, "--runs", 1),
        "models": ("models", "bert_tiny"),
        "an error": ("evaluate", file, "--data", data, "--label", TEXT),
    }


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", calls(Path()))
def test_commands_print_in_every_encoding(foreign, name, encoding):
    arguments = [str(word) for word in calls(foreign)[name]]
    result = CliRunner(charset=encoding).invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code == (2 if name == "an error" else 0)
    for printed in (result.stdout_bytes, result.stderr_bytes):
        text = printed.decode(encoding)
        assert not OBEYED.search(text), text
    if name.endswith("json"):
        json.loads(result.stdout_bytes.decode(encoding))
    if name == "run json":
        [row] = json.loads(result.stdout_bytes.decode(encoding))["predictions"]
        assert row["text"] == TEXT and set(row["scores"]) == set(LABELS)
    if name == "run" and encoding == "ascii":
        assert r"\u0e14\u0e35" in result.stdout and "#" in result.stdout


def test_the_card_of_a_file_holds_no_control_characters(foreign):
    card = (foreign / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert not OBEYED.search(card)
    assert r"\x1b]0;gotcha\x07" in card and "ดี" in card


def test_an_ascii_locale_reads_and_prints_utf_8(foreign):
    program = "from keras_transformer.cli.main import run; run()"
    environment = {
        **os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii:strict",
    }  # fmt: skip
    command = [sys.executable, "-c", program, "run", str(foreign / "file.tflite"), "映画 é"]
    for more in ([], ["--json"]):
        result = subprocess.run([*command, *more], capture_output=True, env=environment)
        assert (result.returncode, result.stderr) == (0, b"")
        assert result.stdout.isascii() and rb"\u0e14\u0e35" in result.stdout
    assert json.loads(result.stdout)["predictions"][0]["text"] == "映画 é"


def test_input_of_another_encoding_is_one_sentence_or_read(file):
    expected = call("run", file, "a good film", "é", "--json").stdout
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        source = "a good film\r\né\r\n".encode(encoding)
        assert call("run", file, "--json", input=source).stdout == expected
    for encoding, what in (("utf-16-le", "a NUL"), ("cp1252", "not UTF-8")):
        text = "a good film\nbad\n" if what == "a NUL" else "a good film\né\n"
        result = call("run", file, input=text.encode(encoding))
        assert result.exit_code == 2 and result.stderr.count("\n") == 1
        assert what in result.stderr


def test_a_long_value_is_shortened_in_the_sentence(file, tmp_path):
    for arguments in (
        ("run", file, "a", "--stop", "x" * 100_000),
        ("x" * 100_000,),
        ("models", "x" * 100_000),
        ("train", "bert_tiny", "--set", "x" * 100_000),
        ("run", tmp_path / ("x" * 100_000), "a"),
    ):
        result = call(*arguments)
        assert result.exit_code in (1, 2) and result.stderr.count("\n") == 1
        assert len(result.stderr) < 1100 and "…" in result.stderr
