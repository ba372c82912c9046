"""The command prepare, and runs on what it wrote."""

import json

import pytest

from keras_transformer.zoo.storage.files import read_folder
from tests.cli.calls import call


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    rows = [(f"{'rain and wind' if i % 2 else 'a violin plays'} {i}", "wm"[i % 2 == 0])
            for i in range(60)]  # fmt: skip
    for number in range(3):
        part = rows[20 * number : 20 * number + 20]
        lines = [json.dumps({"text": text, "label": label}) for text, label in part]
        (folder / f"{number}.jsonl").write_text("\n".join(lines) + "\n")
    return folder




def called(*arguments):
    """Calls a command that succeeds, and returns what it printed."""
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def failed(*arguments):
    """Calls a command that fails with one sentence, and returns it without notes."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    return result.stderr.splitlines(keepends=True)[-1]


RUN = ("bert_tiny", "--vocab-size", "60", "--max-length", "12", "--seed", "3")
FIT = ("--set", "hidden_dim=8", "--set", "num_layers=1", "--set", "intermediate_dim=8",
       "--epochs", "1", "--no-baseline")  # fmt: skip


def test_a_run_on_prepared_data_is_that_on_the_files(shards, tmp_path):
    data = ("--train", f"{shards}/*.jsonl", "--validation", f"{shards}/0.jsonl")
    out = called("prepare", *RUN, *data, "--out", tmp_path / "data")
    assert f"{tmp_path / 'data'} holds" in out
    kinds = sorted(one.name.split("-")[0] for one in (tmp_path / "data").iterdir())
    assert kinds == ["rows", "rows", "table", "table", "tokenizer"]
    before = {one: one.stat().st_mtime_ns for one in (tmp_path / "data").rglob("*")}
    # Again, nothing is made.
    called("prepare", *RUN, *data, "--out", tmp_path / "data")
    assert before == {one: one.stat().st_mtime_ns for one in (tmp_path / "data").rglob("*")}
    called("train", *RUN, *FIT, *data, "--prepared", tmp_path / "data", "--out", tmp_path / "one")
    called("train", *RUN, *FIT, *data, "--out", tmp_path / "two")
    assert read_folder(tmp_path / "one") == read_folder(tmp_path / "two")
    wrong = failed("train", *RUN[:3], *FIT, *data, "--prepared", tmp_path / "data", "--max-length",
                   "9", "--out", tmp_path / "three")  # fmt: skip
    assert wrong == (
        f"Error: {tmp_path / 'data'} holds no rows of this run: prepare the same files with the "
        "same options.\n"
    )


def test_mistakes(shards, tmp_path):
    wrong = failed("prepare", *RUN, "--train", f"{shards}/*.tsv", "--validation", "0.1", "--out",
                   tmp_path / "data")  # fmt: skip
    assert f"{shards}/*.tsv: expected a file that matches the pattern, got none." in wrong
    words = tmp_path / "a.conll"
    words.write_text("".join(f"word{i} B-x\nmore O\n\n" for i in range(9)))
    wrong = failed("prepare", "--task", "token-classification", "--train", words, "--validation",
                   words, "--text", "1", "--label", "2", "--out", tmp_path / "data")  # fmt: skip
    assert wrong == (
        "Error: Expected a task whose rows can be prepared (classification, regression, "
        "translation, language-modeling), got token-classification.\n"
    )
    wrong = failed("prepare", *RUN, "--train", f"{shards}/*.jsonl", "--validation", "0.1", "--out",
                   shards)  # fmt: skip
    assert f"{shards} holds '0.jsonl', which is no prepared data; choose another path." in wrong
    wrong = failed("train", *RUN, "--train", f"{shards}/*.jsonl", "--validation", "0.1",
                   "--prepared", tmp_path / "none", "--out", tmp_path / "out")  # fmt: skip
    assert f"There is no folder {tmp_path / 'none'} of prepared data." in wrong


def test_a_language_model_is_prepared(tmp_path):
    for name, text in (("a", "rain and wind\n" * 30), ("b", "a violin plays\n" * 20)):
        (tmp_path / f"{name}.txt").write_text(text)
    data = ("gpt_nano", "--task", "language-modeling", "--train", f"{tmp_path}/*.txt",
            "--validation", f"{tmp_path}/a.txt", "--max-length", "16")  # fmt: skip
    called("prepare", *data, "--out", tmp_path / "data")
    sizes = [word for size in ("hidden_dim=8", "num_layers=1", "num_heads=1", "intermediate_dim=8")
             for word in ("--set", size)]  # fmt: skip
    for out, prepared in (("one", ("--prepared", tmp_path / "data")), ("two", ())):
        called("train", *data, *sizes, "--epochs", "1", *prepared, "--out", tmp_path / out)
    assert read_folder(tmp_path / "one") == read_folder(tmp_path / "two")
