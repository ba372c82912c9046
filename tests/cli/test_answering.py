"""A model that answers questions, on the command line."""

import json

import pytest

from tests.answering import SETTINGS, questions, trained
from tests.cli.calls import call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of data and of a checkpoint."""
    folder = tmp_path_factory.mktemp("answers")
    lines = (json.dumps(one) + "\n" for one in questions(30, 1, unanswerable=0.3))
    (folder / "dev.jsonl").write_text("".join(lines), encoding="utf-8")
    trained().save(folder / "model")
    return folder


def test_training_from_json_lines(folder):
    sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    result = call(
        "train", "bert_tiny", "--task", "question-answering", "--train", folder / "dev.jsonl",
        "--validation", folder / "dev.jsonl", "--epochs", "1", "--vocab-size", "120",
        "--max-length", "24", *sets, "--out", folder / "made",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert {"F1", "exact", "null", "threshold"} <= set(result.stdout.split())


def test_answers_and_metrics(folder):
    result = call("run", folder / "model", "where ?", "--pair", "Anna saw Bob in Oslo")
    head, _, row = result.stdout.splitlines()
    assert head.split() == ["Question", "Answer", "Characters", "Probability"]
    assert row.split()[:4] == ["where", "?", "Oslo", "16-20"]
    pairs = ("where ?", "where ?", "--pair", "Rome Anna", "--pair", "Anna Bob")
    result = call("run", folder / "model", *pairs, "--json")
    first, second = json.loads(result.stdout)["predictions"]
    assert (first["pair"], first["start"], first["end"]) == ("Rome Anna", 0, 4)
    assert (second["start"], second["end"]) == (None, None)
    result = call("evaluate", folder / "model", "--data", folder / "dev.jsonl", "--json")
    assert json.loads(result.stdout)["exact_match"] > 0.9


def test_errors_and_significance(folder):
    data, wrong = folder / "dev.jsonl", folder / "wrong.csv"
    result = call("evaluate", folder / "model", "--data", data, "--errors", wrong)
    assert result.exit_code == 0, result.output
    head = "place,question,context,label,prediction,score,f1"
    assert wrong.read_text(encoding="utf-8").splitlines()[0] == head
    models = (folder / "model", folder / "model")
    result = call("compare", *models, "--data", data, "--significance")
    assert result.exit_code == 0, result.output
    assert {"f1", "+0.0000", "no"} <= set(result.stdout.split())
