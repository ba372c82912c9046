"""Labels that read alike, and numbers in one notation."""

import re
import unicodedata

import numpy as np
import pytest

from keras_transformer.zoo.data.labels import numbers, similar_labels
from keras_transformer.zoo.data.tables import Table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (["bad", "good", "good "], "'good' and 'good '"),
        (["bad", "\u3000bad"], r"'bad' and '\u3000bad'"),
        (["bad", "Bad"], "'bad' and 'Bad'"),
        (["bad", "b\u200bad"], r"'bad' and 'b\u200bad'"),
        ([DECOMPOSED, COMPOSED], r"'cafe\u0301' and 'caf\xe9'"),
        (["1", "1.0", "2"], "'1' and '1.0'"),
        (["1", "01", "1e0"], "'1' and '01'; '1' and '1e0'"),
    ],
)
def test_labels_that_read_alike_are_named(labels, named):
    assert similar_labels(labels) == f"Labels that read alike are classes of their own: {named}."


def test_many_of_them_are_counted():
    labels = [f"{place}{end}" for place in range(12) for end in ("", ".0")]
    assert similar_labels(labels).endswith("'9' and '9.0'; and 2 more.")


@pytest.mark.parametrize("labels", [[], ["1", "2", "10"], ["a", "á", "nan", "inf"], ["1", "1_0"]])
def test_others_are_not(labels):
    assert similar_labels(labels) is None


def test_a_run_says_it_once(tables, tmp_path):
    path = tmp_path / "train.tsv"
    header, first, *rows = (tables / "train.tsv").read_text(encoding="utf-8").splitlines()
    text, label, *others = first.split("\t")
    changed = "\t".join([text, f"{label} ", *others])
    path.write_text("\n".join([header, changed, first, *rows]) + "\n", encoding="utf-8")
    heard = tiny.Heard()
    trained = train_recipe(tiny.recipe(tables, train=str(path), epochs=1), report=heard)
    said = f"Labels that read alike are classes of their own: {label!r} and {label + ' '!r}."
    assert heard.notes.count(said) == 1
    assert f"{label} " in trained.task.labels


def table(*values: str) -> Table:
    lines = list(range(2, 2 + len(values)))
    return Table(path="a.tsv", columns={"score": list(values)}, lines=lines)


def test_numbers_in_every_usual_form():
    found = numbers(table("1", "-2.5", "+3.", ".5", "1e3", "2E-1", " 7 ", "-3.4028234e38"), "score")
    expected = [1, -2.5, 3, 0.5, 1000, 0.2, 7, -3.4028234e38]
    np.testing.assert_array_equal(found, np.array(expected, "float32"))


@pytest.mark.parametrize(
    "value", ["1_0", "１２", "٣", "0x10", "1,5", "", " ", ".", "1e", "nan", "inf", "Infinity"]
)
def test_what_is_no_number(value):
    with pytest.raises(InputError) as caught:
        numbers(table("1", value), "score")
    assert str(caught.value) == (
        f"a.tsv, line 3: expected a finite number in column 'score', got {value!r}."
    )


@pytest.mark.parametrize("value", ["1e39", "-1e39", "9" * 50, "1e999"])
def test_numbers_beyond_float32_are_said_to_be(value):
    message = re.escape("expected a number of at most 3.40282e+38 in column 'score', which is the ")
    with pytest.raises(InputError, match=f"^a.tsv, line 2: {message}"):
        numbers(table(value), "score")
