"""Lists of labels: their forms in files and in memory, and what is refused."""

import json
import re

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks.multi_label import MultiLabel
from keras_transformer.zoo.tasks.regression import Regression

TEXTS = ["a", "b", "c", "d"]
SETS = [["joy", "love"], [], ["fear"], ["love", "fear", "joy"]]
LABELS = ["fear", "joy", "love"]
INDICATORS = [[0, 1, 1], [0, 0, 0], [1, 0, 0], [1, 1, 1]]


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def file_of(tmp_path, name, separator):
    path = tmp_path / name
    rows = zip(TEXTS, SETS, strict=True)
    if name.endswith(".jsonl"):
        lines = [json.dumps({"text": text, "label": labels}) for text, labels in rows]
    else:
        end = "\t" if name.endswith(".tsv") else ","
        cells = [f'"{separator.join(labels)}"' for labels in SETS]
        cells = cells if name.endswith(".csv") else [cell.strip('"') for cell in cells]
        lines = [f"text{end}label", *map(end.join, zip(TEXTS, cells, strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "separator"), [("a.jsonl", ","), ("a.tsv", ","), ("a.csv", ", "), ("a.tsv", "|")]
)
def test_files(tmp_path, name, separator):
    task = MultiLabel(separator=separator.strip())
    examples = task.read(file_of(tmp_path, name, separator))
    assert examples.labels == LABELS
    np.testing.assert_array_equal(examples.targets, np.array(INDICATORS, "float32"), strict=True)
    assert list(examples.rows())[0] == ("a", ["joy", "love"])
    taken = examples.take([2, 1])
    np.testing.assert_array_equal(taken.targets, np.array(INDICATORS, "float32")[[2, 1]])


@pytest.mark.parametrize(
    "source",
    [
        (TEXTS, SETS),
        (TEXTS, [tuple(row) for row in SETS]),
        (TEXTS, [np.array(row, object) for row in SETS]),
        (TEXTS, [",".join(row) for row in SETS]),
        [{"text": text, "label": row} for text, row in zip(TEXTS, SETS, strict=True)],
        (TEXTS, [[LABELS.index(one) for one in row] for row in SETS]),
    ],
    ids=["lists", "tuples", "arrays", "texts", "rows", "indices"],
)
def test_rows_in_memory(source):
    examples = MultiLabel(labels=LABELS).read(source)
    np.testing.assert_array_equal(examples.targets, np.array(INDICATORS, "float32"))


def test_labels_of_integers_are_in_their_order():
    examples = MultiLabel().read((["a", "b"], [["10", "9"], "2"]))
    assert examples.labels == ["2", "9", "10"]
    np.testing.assert_array_equal(examples.targets, [[0, 1, 1], [1, 0, 0]])


def test_an_unknown_label_is_named_with_its_line(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\na\tjoy\nb\tlove,hate\n", encoding="utf-8")
    message = f"{path}, line 3: unknown label 'hate'; the known labels are 'fear', 'joy', 'love'."
    with refused(message):
        MultiLabel(labels=LABELS).read(path)
    with refused(message.replace(str(path), "data").replace("line 3", "row 2")):
        MultiLabel(labels=LABELS).read((["a", "b"], [["joy"], ["love", "hate"]]))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "label": [["x"]]}', "expected 'label' to be a string, a number, true or "
         "false, got a list of a list."),
        ('{"text": "a", "label": [null]}', "expected 'label' to be a string, a number, true or "
         "false, got a list of null."),
        ('{"text": "a", "label": ["x", " "]}', "expected labels separated by ',' in column "
         "'label', got an empty one among ['x', '']."),
        ('{"text": "a", "label": "x,,y"}', "expected labels separated by ',' in column 'label', "
         "got an empty one among ['x', '', 'y']."),
        ('{"text": "a", "label": ["x\\ny"]}', "expected a label of one line, got 'x\\ny'."),
    ],
)  # fmt: skip
def test_other_values_are_refused_with_their_line(tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": ["x", "y"]}\n' + line + "\n", encoding="utf-8")
    with refused(f"{path}, line 2: {message}"):
        MultiLabel().read(path)


def test_a_list_is_no_text_or_number_for_other_tasks(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": 1}\n{"text": ["b"], "label": [2]}\n', encoding="utf-8")
    wrong = "to be a string, a number, true or false, got a list."
    with refused(f"{path}, line 2: expected 'label' {wrong}"):
        Regression().read(path)
    with pytest.raises(TypeError, match="^data, row 2: expected a text or a number in column 'lab"):
        Regression().read((["a", "b"], [1, [2]]))


def test_fewer_than_two_labels_are_refused():
    with refused("data: expected at least two labels in column 'label', got ['joy']."):
        MultiLabel().read((["a", "b"], [["joy"], []]))
    with refused("data: expected at least two labels in column 'label', got none."):
        MultiLabel().read((["a", "b"], [[], []]))
