import gzip
import json
import subprocess
import sys

import pytest

from keras_transformer.cli.evaluate import AVERAGED, print_metrics
from keras_transformer.edge.load import load
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.tasks.registry import task_of
from keras_transformer.zoo.worker import Worker
from tests.cli.calls import SENTENCES, call, error_of, write_table
from tests.edge.generators import generator


def test_a_checkpoint_and_its_file_have_the_metrics_of_python(checkpoint, file, data):
    columns = {"text": "sentence", "label": "verdict"}
    for model, precision in ((checkpoint, "float32"), (file, "float32")):
        result = call("evaluate", model, "--data", data.validation, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        predictor = load(model)
        task = task_of(predictor)
        expected = task.evaluate(predictor, task.read(data.validation, columns))
        assert task.temperature != 1.0
        expected |= {"unknown_tokens": 0.0, "rows_with_unknown_tokens": 0.0}
        assert json.loads(result.stdout) == {
            "model": str(model), "data": str(data.validation), "task": "classification",
            "precision": precision, "max_length": 16, **expected,
        }  # fmt: skip
        assert expected["rows"] == 8


# A command in a process that cannot import Keras.
WITHOUT_FRAMEWORKS = """
import sys
sys.modules.update(dict.fromkeys(("keras", "tensorflow")))
sys.argv[0] = "keras-transformer"
from keras_transformer.cli.main import run
run()
"""


def without_frameworks(*arguments):
    """What a command prints without Keras and its backends."""
    command = [sys.executable, "-c", WITHOUT_FRAMEWORKS, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_file_needs_no_keras(file, data):
    arguments = ("evaluate", file, "--data", data.validation, "--json")
    assert without_frameworks(*arguments) == json.loads(call(*arguments).stdout)


@pytest.mark.slow
def test_files_that_write_need_no_keras(tmp_path):
    plain, pairs = tmp_path / "plain.txt", tmp_path / "pairs.tsv"
    plain.write_text("abc abd abe abf", encoding="utf-8")
    pairs.write_text("source\ttarget\nabc\txyz\n", encoding="utf-8")
    for kind, path in (("gpt", plain), ("transformer", pairs)):
        converted = tmp_path / f"{kind}.tflite"
        converted.write_bytes(bytes(convert(generator(kind), "float32")))
        found = without_frameworks("evaluate", converted, "--data", path, "--json")
        assert found["precision"] == "float32"
        assert "perplexity" in found if kind == "gpt" else "bleu" in found


def test_the_tables(file, data):
    result = call("evaluate", file, "--data", data.validation)
    assert (result.exit_code, result.stderr) == (0, "")
    metrics, averages, classes = (
        [line.split() for line in table.splitlines()] for table in result.stdout.split("\n\n")
    )
    assert [row[0] for row in metrics[2:]] == [
        "rows", "accuracy", "expected", "matthews", "unknown", "rows",
    ]  # fmt: skip
    assert averages[0] == ["Average", "Precision", "Recall", "F1"]
    assert [row[0] for row in averages[2:]] == ["macro", "micro"]
    assert classes[0] == ["Class", "Precision", "Recall", "F1", "Rows"]
    assert [(row[0], row[-1]) for row in classes[2:]] == [("bad", "4"), ("good", "4")]


def test_classes_are_limited_unless_asked_for(monkeypatch, file, data):
    monkeypatch.setattr("keras_transformer.cli.evaluate.MAX_CLASSES", 1)
    limited = call("evaluate", file, "--data", data.validation).stdout
    assert "The 1 of 2 classes with the lowest F1; --per-class shows all." in limited
    everything = call("evaluate", file, "--data", data.validation, "--per-class").stdout
    assert len(everything.splitlines()) == len(limited.splitlines())
    assert "lowest F1" not in everything


def test_what_is_not_defined_is_said(file, tmp_path):
    table = write_table(tmp_path / "t.tsv", [row for row in SENTENCES if row[1] == "good"])
    result = call("evaluate", file, "--data", table)
    assert result.exit_code == 0
    notes = result.stderr.splitlines()
    assert notes[:2] == [
        f"Note: {table}: Matthews is not defined: all rows have the label 'good'.",
        f"Note: {table}: Recall is not defined: no row has the label 'bad'.",
    ]
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["matthews", "-"] in lines
    assert next(line for line in lines if line[:1] == ["bad"])[2] == "-"
    value = json.loads(call("evaluate", file, "--data", table, "--json").stdout)
    assert value["matthews"] is None and value["per_class"]["bad"]["recall"] is None
    assert value["undefined"]["matthews"] == "all rows have the label 'good'"


def test_a_class_without_f1_is_not_among_the_lowest(monkeypatch, capsys):
    monkeypatch.setattr("keras_transformer.cli.evaluate.MAX_CLASSES", 1)
    averages = {f"{a}_{n}": 1.0 for a in ("macro", "micro") for n in AVERAGED}
    classes = {
        "none": {"precision": None, "recall": None, "f1": None, "rows": 0},
        "some": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 2},
    }
    print_metrics({**averages, "per_class": classes}, per_class=False)
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == "some"


def test_columns_of_other_names(file, tmp_path):
    table = write_table(tmp_path / "t.tsv", SENTENCES, header=("a", "b"))
    result = call("evaluate", file, "--data", table, "--text", "a", "--label", "b", "--json")
    assert json.loads(result.stdout)["rows"] == 8
    assert error_of(call("evaluate", file, "--data", table)) == (
        2,
        f"Error: {table}: there is no column 'verdict'; the columns are 'a', 'b'.",
    )


def test_unknown_tokens_are_said(checkpoint, file, tmp_path):
    table = write_table(tmp_path / "t.tsv", [*SENTENCES, ("映画 ภาพยนตร์", "good")])
    for model in (checkpoint, file):
        result = call("evaluate", model, "--data", table, "--json")
        found = json.loads(result.stdout)
        assert found["rows_with_unknown_tokens"] == pytest.approx(1 / 9)
        assert result.stderr.splitlines()[-1] == (
            f"Note: {found['unknown_tokens']:.1%} of the tokens of {table} are unknown to the "
            "tokenizer, in 11.1% of the rows; models with --tokenizer sentencepiece know every "
            "text."
        )


def test_cut_rows_are_counted_and_reported(checkpoint, file, tmp_path):
    table = write_table(tmp_path / "t.tsv", [*SENTENCES, ("good " * 40, "good")])
    for model in (checkpoint, file):
        result = call("evaluate", model, "--data", table, "--json")
        assert json.loads(result.stdout)["truncated"] == 1
        assert result.stderr.splitlines()[-1] == (
            f"Note: 1 of 9 rows of {table} are longer than 16 tokens and were cut."
        )


def test_a_packed_table_that_would_fill_the_memory(file, tmp_path):
    table = tmp_path / "t.tsv.gz"
    with gzip.open(table, "wt") as written:
        written.write("sentence\tverdict\n" + "a\tgood\n" * 2_500_000)
    code, sentence = error_of(call("evaluate", file, "--data", table))
    assert (code, sentence.split(", got more")[0]) == (
        2, f"Error: {table}: expected at most 16 MB unpacked",
    )  # fmt: skip
    write_table(plain := tmp_path / "few.tsv", SENTENCES)
    table.write_bytes(gzip.compress(plain.read_bytes()))
    arguments = ("evaluate", file, "--data", table, "--json")
    assert json.loads(call(*arguments, "--max-unpacked", 1).stdout)["rows"] == 8


@pytest.mark.parametrize("value", ["NaN", "Infinity", "null"])
def test_a_json_label_that_is_none(file, tmp_path, value):
    table = tmp_path / "t.jsonl"
    rows = ('{"sentence": "so so", "verdict": "bad"}', f'{{"sentence": "a", "verdict": {value}}}')
    table.write_text("\n".join(rows), encoding="utf-8")
    assert error_of(call("evaluate", file, "--data", table)) == (
        2,
        f"Error: {table}, line 2: expected 'verdict' to be a string, a number, true or false, got "
        f"{value}.",
    )


def test_an_unknown_label(file, tmp_path):
    table = write_table(tmp_path / "t.tsv", [("so so", "neutral")])
    assert error_of(call("evaluate", file, "--data", table)) == (
        2,
        f"Error: {table}, line 2: unknown label 'neutral'; the known labels are 'bad', 'good'.",
    )


def test_second_texts_where_none_are_expected(file, data):
    result = call("evaluate", file, "--data", data.validation, "--text-pair", "verdict")
    assert error_of(result) == (
        2,
        "Error: Expected single texts, as the model was trained on.",
    )


def test_a_file_that_does_not_name_its_columns(file, data, tmp_path):
    flatbuffer, description, files = unpack(file)
    del description["columns"]
    other = tmp_path / "other.tflite"
    other.write_bytes(pack(flatbuffer, description, files))
    assert error_of(call("evaluate", other, "--data", data.validation)) == (
        2,
        "Error: Expected the name of the column text, which the model does not say, got none.",
    )
    result = call("evaluate", other, "--data", data.validation, *data.columns)
    assert result.exit_code == 0


def test_no_model(data, tmp_path):
    folder, path = tmp_path / "no", tmp_path / "no.tflite"
    for model, sentence in (
        (folder, f"There is no checkpoint folder {folder}."),
        (path, f"There is no file {path}."),
        (tmp_path, f"{tmp_path} is no checkpoint: it has no manifest.json."),
    ):
        result = call("evaluate", model, "--data", data.validation)
        assert error_of(result) == (2, f"Error: {sentence}")


def test_workers_change_nothing(monkeypatch, file, data):
    started, start = [], Worker._started

    def note_start(worker):
        started.append(worker)
        return start(worker)

    monkeypatch.setattr(Worker, "_started", note_start)
    command = ("evaluate", file, "--data", data.validation, "--json")
    one, two = call(*command), call(*command, "--workers", 2)
    assert (two.exit_code, two.stdout) == (0, one.stdout)
    words = [text for text, _ in SENTENCES]
    one, two = call("run", file, *words), call("run", file, *words, "--workers", 2)
    assert (two.exit_code, two.stdout) == (0, one.stdout)
    assert len(started) > 1


@pytest.mark.parametrize("threads", ["0", "two"])
def test_threads(file, data, threads):
    code, line = error_of(call("evaluate", file, "--data", data.validation, "--threads", threads))
    assert (code, "Invalid value for '--threads'" in line) == (2, True)
