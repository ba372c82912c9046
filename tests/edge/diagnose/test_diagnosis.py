"""Wrong rows and figures of a model."""

import csv
import json
import re

import numpy as np
import pytest
import sklearn.metrics
from click.testing import CliRunner

from keras_transformer.cli.main import main
from keras_transformer.edge.diagnose.diagnosis import Diagnosis, diagnose
from keras_transformer.edge.diagnose.figures import confusion_matrix
from keras_transformer.edge.diagnose.row_tables import table_bytes
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.answering.answers import Answer
from keras_transformer.zoo.data.tables import read_table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.outputs import LabelSet, Outputs, Prediction
from keras_transformer.zoo.tagging.decoding import Tagged, TaggedSpan
from keras_transformer.zoo.tasks.answering.question_answering import QuestionAnswering
from keras_transformer.zoo.tasks.tagging.token_classification import TokenClassification
from tests.edge.models import random_model

TEXTS = ["bread and soup", "a violin again", "rain", "some more of this today", "frost soup"]
LABELS = ["food", "weather", "weather", "music", "food"]


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def test_wrong_rows_are_written_worst_first(runs, files, tmp_path):
    found = diagnose(Runner(files["int8"]), (TEXTS, LABELS))
    predictions = Runner(files["int8"]).predict(TEXTS)
    wrong = [
        {
            "line": place + 1, "text": text, "label": label, "prediction": one.label,
            "score": one.score, "label_score": one.scores[label],
        }
        for place, (text, label, one) in enumerate(zip(TEXTS, LABELS, predictions, strict=True))
        if one.label != label
    ]  # fmt: skip
    assert 1 <= len(wrong) < 5
    assert found.errors() == sorted(wrong, key=lambda row: row["label_score"])
    assert found.metrics["accuracy"] == 1 - len(wrong) / 5
    for name in ("wrong.tsv", "wrong.csv", "wrong.jsonl"):
        assert found.write_errors(tmp_path / name) == len(wrong)
        table = read_table(tmp_path / name)
        assert table.columns["text"] == [row["text"] for row in found.errors()]
        assert table.columns["label"] == [row["label"] for row in found.errors()]
    with pytest.raises(FileExistsError, match="wrong.csv"):
        found.write_errors(tmp_path / "wrong.csv")
    with refused(f"{tmp_path / 'wrong.txt'}: expected a name that ends in .tsv, .csv, .jsonl."):
        found.write_errors(tmp_path / "wrong.txt")


def test_no_row_is_wrong(runs, tmp_path):
    texts = ["bread and soup"]
    right = runs.trained.predict(texts)[0].label
    assert diagnose(runs.trained, (texts, [right])).write_errors(tmp_path / "none.csv") == 0
    header = "line,text,label,prediction,score,label_score\n"
    assert (tmp_path / "none.csv").read_text() == header


def test_a_tsv_file_holds_no_tabs(tmp_path):
    with refused(
        f"{tmp_path}/a.tsv: expected texts without tabs and line ends in a .tsv file, got 'a\\tb'; "
        "name a .csv or .jsonl file."
    ):
        table_bytes([{"text": "a\tb"}], ["text"], tmp_path / "a.tsv")
    written = table_bytes([{"text": 'a\t"b"\nc', "label": ["x", "y"]}], ["text", "label"], "a.csv")
    assert list(csv.reader(written.decode().splitlines(keepends=True)))[1] == [
        'a\t"b"\nc', "x,y"
    ]  # fmt: skip


def test_sets_and_numbers(runs):
    base = diagnose(runs.trained, (TEXTS[:2], LABELS[:2]))
    scores = np.array([[2.0, -2.0], [3.0, 4.0]])
    changed = dict(
        kind="label sets", labels=("a", "b"), outputs=Outputs(scores, [False] * 2),
        predictions=[LabelSet({"a": 0.9}, {}, False), LabelSet({"b": 0.9, "a": 0.9}, {}, False)],
    )
    examples = type(base.examples)(
        **{**vars(base.examples), "targets": np.array([[1, 0], [0, 1]], "float32")}
    )
    [row] = type(base)(**{**vars(base), **changed, "examples": examples}).errors()
    loss = np.mean([np.log1p(np.exp(3.0)), np.log1p(np.exp(-4.0))])
    assert row["loss"] == pytest.approx(loss)
    assert (row["line"], row["label"], row["prediction"]) == (2, ["b"], ["b", "a"])
    numbers = dict(
        kind="number", labels=(), outputs=Outputs(scores[:, :1], [False] * 2),
        predictions=[Prediction(None, 2.0, {}, False), Prediction(None, 3.0, {}, False)],
    )
    examples = type(base.examples)(
        **{**vars(base.examples), "targets": np.array([2.5, 1.0], "float32")}
    )
    found = type(base)(**{**vars(base), **numbers, "examples": examples}).errors()
    assert [(row["line"], row["difference"]) for row in found] == [(2, 2.0), (1, -0.5)]


def test_figures(runs, tmp_path):
    found = diagnose(runs.trained, runs.folder / "validation.tsv")
    paths = found.write_figures(tmp_path / "figures")
    assert sorted(path.name for path in paths) == [
        "confusion.png", "confusion.svg", "reliability.png", "reliability.svg",
    ]  # fmt: skip
    written = {path: path.read_bytes() for path in paths}
    assert all(data.startswith((b"\x89PNG", b"<?xml")) for data in written.values())
    found.write_figures(tmp_path / "figures")
    assert written == {path: path.read_bytes() for path in paths}
    targets, predictions = np.random.default_rng(0).integers(0, 4, (2, 50))
    np.testing.assert_array_equal(
        confusion_matrix(targets, predictions, 5),
        sklearn.metrics.confusion_matrix(targets, predictions, labels=range(5)),
    )


def test_the_command_line(runs, files, tmp_path):
    run, data = CliRunner(), str(runs.folder / "validation.tsv")
    errors, figures = tmp_path / "wrong.jsonl", tmp_path / "figures"
    command = ["evaluate", str(files["float32"]), "--data", data, "--errors", str(errors)]
    shown = run.invoke(main, [*command, "--figures", str(figures), "--json"])
    assert shown.exit_code == 0, shown.output
    rows = [json.loads(line) for line in errors.read_text().splitlines()]
    result = json.loads(shown.stdout)
    assert len(rows) == round((1 - result["accuracy"]) * result["rows"])
    assert 0 <= result["expected_calibration_error"] < 1
    assert (figures / "confusion.png").exists()
    again = run.invoke(main, command)
    assert again.exit_code == 2 and "wrong.jsonl" in again.output
    assert run.invoke(main, [*command, "--overwrite"]).exit_code == 0


def test_only_labels_and_numbers_have_errors():
    with refused(
        "Expected a model that predicts labels, numbers, tags or answers where its errors are "
        "asked for, got one of embedding; evaluate it without them."
    ):
        diagnose(random_model("embedding"), (["a"], ["b"], [1.0]))
    regression = random_model("regression")
    found = diagnose(regression, (["w1", "w2"], [1.0, 2.0]))
    with refused(
        "Expected figures only of one label for each row, got outputs of number; ask for the "
        "errors instead."
    ):
        found.write_figures("nowhere")


def tagged(text, *spans):
    return Tagged([
        TaggedSpan(label, text[start:end], start, end, 0.9) for label, start, end in spans
    ], False)  # fmt: skip


def test_wrong_tags_are_those_that_differ(tmp_path):
    rows = TokenClassification(labels=("O", "B-LOC", "B-PER", "I-PER")).read(
        (
            [["Ann", "Lee", "saw", "Rome"], ["no"], ["Bob", "ran"]],
            [["B-PER", "I-PER", "O", "B-LOC"], ["O"], ["B-PER", "O"]],
        )
    )  # fmt: skip
    found = [
        tagged("Ann Lee saw Rome", ("PER", 0, 3), ("LOC", 12, 16)), tagged("no"), tagged("Bob ran")
    ]
    common = {"outputs": None, "metrics": {}, "kind": "tags"}
    one = Diagnosis(labels=rows.labels, examples=rows, predictions=found, **common)
    assert one.errors() == [
        {
            "line": 1, "text": "Ann Lee saw Rome", "label": ["PER Ann Lee"],
            "prediction": ["PER Ann"], "differing": 2,
        },
        {"line": 3, "text": "Bob ran", "label": ["PER Bob"], "prediction": [], "differing": 1},
    ]  # fmt: skip
    assert one.write_errors(tmp_path / "wrong.tsv") == 2
    assert list(read_table(tmp_path / "wrong.tsv").columns) == list(one.errors()[0])
    rows = TokenClassification(labels=("n", "v")).read(([["a", "b"]], [["n", "v"]]))
    plain = Diagnosis(
        labels=rows.labels, examples=rows, predictions=[tagged("a b", ("n", 0, 1), ("n", 2, 3))],
        **common,
    )  # fmt: skip
    [row] = plain.errors()
    assert (row["label"], row["prediction"]) == (["v b"], ["n b"])


def test_wrong_answers_have_their_question():
    rows = QuestionAnswering().read([
        {"question": "who ?", "context": "Ann saw Bob Lee", "answers": answers}
        for answers in (
            [{"text": "Ann", "answer_start": 0}], [{"text": "Bob Lee", "answer_start": 8}], []
        )
    ])  # fmt: skip
    found = [
        Answer("Ann", 0, 3, 0.9, False), Answer("Bob", 8, 11, 0.5, False),
        Answer("Lee", 12, 15, 0.25, False),
    ]  # fmt: skip
    errors = Diagnosis(
        kind="answers", labels=(), examples=rows, outputs=None, predictions=found, metrics={}
    ).errors()
    assert [(one["label"], one["prediction"], one["score"]) for one in errors] == [
        ([], "Lee", 0.25), (["Bob Lee"], "Bob", 0.5)
    ]  # fmt: skip
    assert [one["f1"] for one in errors] == [0.0, pytest.approx(2 / 3)]
    assert (errors[0]["question"], errors[0]["context"]) == ("who ?", "Ann saw Bob Lee")
