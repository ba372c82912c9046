"""Tables of tasks: what they say, and what is wrong with them in one sentence each."""

import gzip
import json

import pytest

import keras_transformer as kt
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks.multi_task.task_table import read_table


def written(folder, table):
    path = folder / "tasks.json"
    path.write_text(table if isinstance(table, str) else json.dumps(table), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    for name in ("one.tsv", "two.tsv"):
        (tmp_path / name).write_text("text\tlabel\na\tx\nb\ty\n", encoding="utf-8")
    return tmp_path


def entry(**more):
    return {"task": "classification", "train": "one.tsv", "validation": 0.5, **more}


def test_a_file_names_its_data_from_its_own_folder(folder, monkeypatch):
    monkeypatch.chdir("/")
    path = written(folder, {
        "first": entry(label="kind", focal=1.0, weight=2, test="two.tsv"),
        "second": entry(task="regression", text_pair="other"),
    })  # fmt: skip
    table, name = read_table(path)
    first, second = table.values()
    assert name == str(path) and list(table) == ["first", "second"]
    assert first.sources == {
        "train": folder / "one.tsv", "validation": 0.5, "test": folder / "two.tsv"
    }  # fmt: skip
    assert first.columns == {**kt.Classification.columns, "label": "kind"}
    assert (first.task, first.weight) == (kt.Classification(focal=1.0), 2.0)
    assert (second.task, second.weight) == (kt.Regression(pair=True), 1.0)


def test_a_table_may_be_compressed(folder):
    path = folder / "tasks.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"a": entry(), "b": entry()}).encode()))
    assert list(read_table(path)[0]) == ["a", "b"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("[]", "an object with an entry for each, got"),
        ("{", "to be a table of tasks in JSON"),
        ({"a": entry()}, "at least two tasks in .*tasks.json, got 1"),
        ('{"a": {}, "a": {}}', "each name once, got 'a' twice"),
        ({"a": entry(), "b": 3}, "b in .* to be an object that names its task, got 3"),
        ({"a": entry(), "b": {"train": "one.tsv"}}, "an object that names its task"),
        ({"A b": entry(), "b": entry()}, "lowercase letters, .* got 'A b'"),
        ({"predict": entry(), "b": entry()}, "none of predict, .* got 'predict'"),
        ({"a": entry(), "a_16": entry()}, "not to end in an underscore and a number, .* 'a_16'"),
        ({"a": entry(task="guessing"), "b": entry()}, "task of a .* one of classification"),
        ({"a": entry(task="translation"), "b": entry()}, "one of .* got 'translation'"),
        ({"a": entry(task="multi-task"), "b": entry()}, "one of .* got 'multi-task'"),
        ({"a": entry(train="three.tsv"), "b": entry()}, "train of a .* got no .*three.tsv"),
        ({"a": entry(train=3), "b": entry()}, "train of a .* to be a path, got 3"),
        ({"a": entry(validation=1), "b": entry()}, "validation of a .* such as 0.1, got 1"),
        ({"a": entry(teacher=""), "b": entry()}, "teacher of a .* to be a path, got ''"),
        ({"a": entry(teacher=None), "b": entry()}, "teacher of a .* to be a path, got None"),
        ({"a": entry(tset="one.tsv"), "b": entry()}, "a in .* to say task, .* got 'tset'"),
        ({"a": entry(weight=0), "b": entry()}, "weight of a .* above 0, got 0"),
        ({"a": entry(weight="2"), "b": entry()}, "weight of a .* above 0, got '2'"),
        ({"a": entry(share=1.5), "b": entry()}, "share of a .* at most 1, got 1.5"),
        ({"a": entry(teacher="none"), "b": entry()}, "teacher of a .* got no .*none"),
    ],
)
def test_a_mistake_in_a_table_is_one_sentence(folder, table, words):
    with pytest.raises(InputError, match=words) as found:
        read_table(written(folder, table))
    assert str(found.value).count(". ") == 0


def test_a_part_that_is_missing_is_named(folder):
    table, name = read_table(written(folder, {"a": entry(), "b": entry()}))
    with pytest.raises(InputError, match="Expected test of a in .*tasks.json to be its data"):
        table["a"].source("test", "a", name)


def test_a_source_of_another_type_is_no_table():
    with pytest.raises(TypeError, match="to be a path or a mapping, got 3"):
        read_table(3)
