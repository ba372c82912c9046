"""Rows from memory: columns, mappings and rows, and what is wrong with them."""

import re

import numpy as np
import pytest

from keras_transformer.zoo.data.sources import read_source, texts_in
from keras_transformer.zoo.errors import InputError


def refused(message, kind=InputError):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def read(source, texts=("text",), others=("label",)):
    return read_source(source, texts, others, name="train")


class Frame:
    """A data frame, as far as pandas' and others' are alike: columns by name, and their names."""

    def __init__(self, **columns):
        self.columns = columns

    def keys(self):
        return self.columns.keys()

    def __getitem__(self, name):
        return self.columns[name]

    def __iter__(self):
        return iter(self.columns)


class NAType:
    """pandas' missing value is of a type of this name, and equal to nothing, not even False."""

    def __repr__(self):
        return "<NA>"

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


TEXTS, LABELS = ["a b", "c"], ["no", "yes"]


@pytest.mark.parametrize(
    "source",
    [
        (TEXTS, LABELS),
        (tuple(TEXTS), np.array(LABELS)),
        (np.array(TEXTS, object), LABELS),
        (iter(TEXTS), iter(LABELS)),
        {"text": TEXTS, "label": LABELS, "other": [0, 0, 0]},
        Frame(label=np.array(LABELS, object), text=TEXTS),
        [("a b", "no"), ("c", "yes")],
        (row for row in zip(TEXTS, LABELS, strict=True)),
        [{"text": "a b", "label": "no"}, {"label": "yes", "text": "c", "more": 1}],
    ],
    ids=["lists", "tuple and array", "objects", "iterators", "mapping", "frame", "rows",
         "generator", "mappings"],
)  # fmt: skip
def test_every_form_is_the_same_table(source):
    table = read(source)
    assert table.columns == {"text": TEXTS, "label": LABELS}
    assert (table.path, table.lines, table.at(1)) == ("train", [1, 2], "train, row 2")
    assert {type(text) for column in table.columns.values() for text in column} == {str}
    assert table.integers == frozenset()


def test_a_path_is_read_as_a_file(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\nx\ty\n")
    for source in (path, str(path)):
        assert read(source).at(0) == f"{path}, line 2"


@pytest.mark.parametrize(
    ("labels", "expected", "integers"),
    [
        ([1, 0], ["1", "0"], {"label"}),
        (np.array([1, 0]), ["1", "0"], {"label"}),
        (np.array([1.5, -2], "float32"), ["1.5", "-2.0"], set()),
        ([True, np.False_], ["true", "false"], set()),
    ],
)
def test_numbers_and_truths_are_written_as_a_file_would_have_them(labels, expected, integers):
    table = read((TEXTS, labels))
    assert table.columns["label"] == expected
    assert table.integers == integers


def test_columns_that_may_be_missing():
    for source in ((TEXTS,), [("a b",), ("c",)], [{"text": "a b"}, {"text": "c"}], {"text": TEXTS}):
        assert read(source).columns == {"text": TEXTS}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((TEXTS, ["no"]), "Expected columns of one length in train, got 2 of 'text' and 1 of "
         "'label'."),
        (([], []), "Expected at least one row in train, got none."),
        ((row for row in ()), "Expected at least one row in train, got none."),
        ((), "Expected train to hold the columns 'text', 'label', got 0 columns."),
        ((TEXTS, LABELS, LABELS), "Expected train to hold the columns 'text', 'label', got 3 "
         "columns."),
        ([("a", "b", "c")], "Expected train, row 1 to hold the columns 'text', 'label', got 3 "
         "columns."),
        ((TEXTS, ["no", float("nan")]), "train, row 2: expected a value in column 'label', got "
         "nan."),
        ((["a", np.nan], LABELS), "train, row 2: expected a value in column 'text', got nan."),
        ((["a", None], LABELS), "train, row 2: expected a value in column 'text', got None."),
        ((TEXTS, [NAType(), "no"]), "train, row 1: expected a value in column 'label', got <NA>."),
        ({"texts": TEXTS}, "train: there is no column 'text'; the columns are 'texts'."),
        ([{"label": "a"}], "train: there is no column 'text'; the columns are 'label'."),
        ([("a", "no"), ("b",)], "train, row 2: expected the columns 'text', 'label' as in the "
         "first row, got 'text'."),
    ],
)  # fmt: skip
def test_what_does_not_fit(source, message):
    with refused(message):
        read(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (7, "Expected train to be a path, columns or rows, got int 7."),
        (("a film", LABELS), "Expected the column 'text' of train to be a list, got one string "
         "'a film'; put it in a list."),
        ((TEXTS, 3), "Expected the column 'label' of train to be a list, got int 3."),
        ((["a", 5], LABELS), "train, row 2: expected a text in column 'text', got int 5."),
        ((TEXTS, [["no"], ["yes"]]), "train, row 1: expected a text or a number in column "
         "'label', got list ['no']."),
        (TEXTS, "Expected train, row 1 to be a tuple or a mapping, got str 'a b'; give columns as "
         "a tuple of text, label."),
        ([TEXTS, LABELS], "Expected train, row 1 to be a tuple or a mapping, got list ['a b', "
         "'c']; give columns as a tuple of text, label."),
    ],
)  # fmt: skip
def test_what_is_of_another_type(source, message):
    with refused(message, TypeError):
        read(source)


def test_texts_alone():
    assert texts_in(np.array(TEXTS), "train") == TEXTS
    with refused("Expected at least one row in train, got none."):
        texts_in([], "train")
    with refused("train, row 1: expected a value in column 'text', got nan."):
        texts_in([float("nan")], "train")
