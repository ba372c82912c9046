"""A model that tags words, from a CoNLL file to the entities of a text."""

import json

import pytest

import keras_transformer as kt
from tests.cli.calls import call, error_of
from tests.tagging import SETTINGS, conll, sentences, trained

TEXT = "the ship saw Anna Stone."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of data, of a checkpoint and of its file."""
    folder = tmp_path_factory.mktemp("tagger")
    for name, seed in (("train.conll", 0), ("dev.conll", 1)):
        text = "# sent_id = 1\n" + conll(*sentences(30, seed))
        (folder / name).write_text(text, encoding="utf-8")
    trained().save(folder / "model")
    result = call("convert", folder / "model", "--out", folder / "model.tflite")
    assert result.exit_code == 0, result.output
    return folder


@pytest.mark.slow
def test_training_reads_columns_by_number(folder):
    sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    command = (
        "train", "bert_tiny", "--task", "token-classification", "--train", folder / "train.conll",
        "--validation", folder / "dev.conll", "--text", "1", "--label", "2", "--epochs", "1",
        "--vocab-size", "120", "--max-length", "20", *sets,
    )  # fmt: skip
    result = call(*command, "--out", folder / "made")
    assert result.exit_code == 0, result.output
    assert "F1" in result.stdout
    made = kt.load(folder / "made")
    assert made.labels == trained().labels and made.columns == {"text": "1", "label": "2"}
    (folder / "bad.conll").write_text("a\tO\nb\n", encoding="utf-8")
    wrong = [folder / "bad.conll" if one == folder / "train.conll" else one for one in command]
    result = call(*wrong, "--out", folder / "none")
    code, said = error_of(result)
    assert code == 2 and "bad.conll, line 2: expected a word with its tag in 2 columns" in said


@pytest.mark.parametrize("name", ["model", "model.tflite"])
def test_entities_of_texts(folder, name):
    result = call("run", folder / name, TEXT)
    assert result.exit_code == 0, result.output
    head, _, row = result.stdout.splitlines()
    assert head.split() == ["Text", "Label", "Characters", "Probability"]
    assert row.split()[:4] == ["Anna", "Stone", "PER", "13-23"]
    result = call("run", folder / name, TEXT, "no", "--json")
    first, second = json.loads(result.stdout)["predictions"]
    [span] = first["spans"]
    assert {key: span[key] for key in ("label", "text", "start", "end")} == {
        "label": "PER", "text": "Anna Stone", "start": 13, "end": 23
    }  # fmt: skip
    assert 0.5 < span["score"] <= 1 and second["spans"] == []
    result = call("run", folder / name, TEXT, "in Lima")
    assert result.stdout.splitlines()[0].split()[0] == "Line"


def test_lines_of_standard_input(folder):
    result = call("run", folder / "model.tflite", "--json", input=f"{TEXT}\n\nin Lima\n")
    assert result.exit_code == 0, result.output
    texts = [one["text"] for one in json.loads(result.stdout)["predictions"]]
    assert texts == [TEXT, "", "in Lima"]


@pytest.mark.parametrize("name", ["model", "model.tflite"])
def test_metrics_by_type(folder, name):
    result = call("evaluate", folder / name, "--data", folder / "dev.conll")
    assert result.exit_code == 0, result.output
    assert {"F1", "precision", "recall", "LOC", "PER"} <= set(result.stdout.split())
    result = call("evaluate", folder / name, "--data", folder / "dev.conll", "--json")
    found = json.loads(result.stdout)
    assert found["f1"] > 0.95 and set(found["per_class"]) == {"LOC", "PER"}


def test_compare_prints_the_f1(folder):
    result = call(
        "compare", folder / "model", folder / "model.tflite", "--data", folder / "dev.conll"
    )
    assert result.exit_code == 0, result.output
    assert "f1" in result.stdout.lower()


def test_a_word_that_is_cut_is_said(folder):
    result = call("run", folder / "model.tflite", "old" * 30, "--json")
    assert result.stderr == (
        "Note: 1 of 1 texts have a word that is longer than 20 tokens, or too long a question, "
        "which was cut: 1.\n"
    )


def test_errors_and_significance(folder):
    data = folder / "dev.conll"
    wrong = folder / "wrong.jsonl"
    result = call("evaluate", folder / "model.tflite", "--data", data, "--errors", wrong, "--json")
    assert result.exit_code == 0, result.output
    assert wrong.exists() and json.loads(result.stdout)["rows"] == 30
    result = call("evaluate", folder / "model", "--data", data, "--figures", folder / "figures")
    assert "got outputs of tags; ask for the errors instead." in error_of(result)[1]
    result = call(
        "compare", folder / "model", folder / "model.tflite", "--data", data, "--significance"
    )
    assert result.exit_code == 0, result.output
    assert {"f1", "+0.0000", "no"} <= set(result.stdout.split())
