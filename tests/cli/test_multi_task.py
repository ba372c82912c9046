"""Several tasks on the command line: from a table to a file's predictions of each."""

import json

import pytest

from tests.cli.calls import call, error_of
from tests.multi_task import SETTINGS, table, trained, two_tasks, written

TEXT = "the old ship saw Anna Stone and Lima ."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a table, of a checkpoint and of its file."""
    folder = tmp_path_factory.mktemp("assistant")
    made = table()
    made["named"] |= {"task": "regression", "text_pair": "text_pair"}
    made["names"] |= {"text": "text", "label": "label"}
    written(folder, made)
    trained().save(folder / "model")
    result = call(
        "convert", folder / "model", "--out", folder / "model.tflite", "--precision",
        "dynamic_int8",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder


def test_a_table_trains_one_model(tmp_path):
    path = written(tmp_path, two_tasks())
    sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    command = (
        "train", "bert_tiny", "--tasks", path, "--epochs", "1", "--vocab-size", "120",
        "--max-length", "40", *sets, "--out", tmp_path / "made",
    )  # fmt: skip
    result = call(*command)
    assert result.exit_code == 0, result.output
    shown = {" ".join(line.split()[:-1]) for line in result.stdout.splitlines() if line}
    assert {"mean", "kind accuracy", "names F1"} <= shown
    result = call(*command, "--train", path)
    assert "Expected no --train beside --tasks" in result.output and result.exit_code == 2


@pytest.mark.parametrize("name", ["model", "model.tflite"])
def test_each_task_is_measured_and_run(folder, name):
    result = call("evaluate", folder / name, "--data", folder / "tasks.json", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["task"] == "multi-task" and set(found["by_task"]) == {"kind", "names", "named"}
    result = call("evaluate", folder / name, "--data", folder / "tasks.json")
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert {"kind", "names", "named"} <= set(lines)
    result = call(
        "evaluate", folder / name, "--head", "kind", "--data", folder / "kind_test.jsonl", "--json"
    )
    own = json.loads(result.stdout)
    assert own["accuracy"] == pytest.approx(found["kind accuracy"])
    result = call("run", folder / name, TEXT)
    assert result.exit_code == 0, result.output
    assert "kind\n" in result.stdout and "Anna Stone" in result.stdout
    [row] = json.loads(call("run", folder / name, TEXT, "--json").stdout)["predictions"]
    assert set(row["heads"]) == {"kind", "names"}
    [row] = json.loads(call("run", folder / name, TEXT, "--pair", TEXT, "--json").stdout)[
        "predictions"
    ]
    assert set(row["heads"]) == {"named"} and row["pair"] == TEXT
    result = call("run", folder / name, "--head", "names", input=f"{TEXT}\n")
    assert result.exit_code == 0 and "Anna Stone" in result.stdout
    code, said = error_of(call("run", folder / name, "--head", "other", TEXT))
    assert code == 2 and "got 'other'" in said
    result = call("run", folder / name)
    assert result.exit_code == 2 and "--head to read standard input" in result.output


@pytest.mark.slow
def test_one_task_of_a_file_is_compared(folder):
    command = ("compare", folder / "model", folder / "model.tflite", "--data")
    result = call(*command, folder / "kind_test.jsonl", "--head", "kind")
    assert result.exit_code == 0 and "accuracy" in result.stdout, result.output
    assert "other weights" not in result.output
    result = call(*command, folder / "kind_test.jsonl", "--head", "kind", "--layers")
    assert result.exit_code == 0 and "No layer of" in result.stdout, result.output
    result = call(*command, folder / "kind_test.jsonl", "--head", "kind", "--significance")
    assert result.exit_code == 0, result.output
    one = call("convert", folder / "model", "--head", "kind", "--out", folder / "kind.tflite")
    assert one.exit_code == 0, one.output
    rows = folder / "kind_test.jsonl"
    result = call("evaluate", folder / "kind.tflite", "--data", rows, "--json")
    assert json.loads(result.stdout)["task"] == "classification"
    code, said = error_of(call(*command, folder / "tasks.json"))
    assert code == 2 and "name one with --head" in said


def test_errors_are_of_one_task(folder, tmp_path):
    command = ("evaluate", folder / "model.tflite", "--data")
    asked = ("--errors", tmp_path / "wrong.csv")
    code, said = error_of(call(*command, folder / "tasks.json", *asked))
    assert code == 2 and "got kind, names, named; name one with --head" in said
    result = call(*command, folder / "kind_test.jsonl", "--head", "kind", *asked)
    assert result.exit_code == 0 and (tmp_path / "wrong.csv").exists(), result.output
