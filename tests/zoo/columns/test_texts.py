"""Texts and labels without an object for each."""

import pytest

from keras_transformer.zoo.columns.texts import Coded, Texts, joined

ROWS = ["a", "", "é\u2028", "\ud800", "tab\tand more", "z"]


def texts(rows=ROWS, key="k"):
    return Texts.of(rows, key)


def test_texts_are_a_sequence():
    found = texts()
    assert list(found) == ROWS and len(found) == len(ROWS)
    assert [found[row] for row in range(-len(ROWS), len(ROWS))] == ROWS * 2
    for one in (slice(0, 3), slice(2, 2), slice(4, 99), slice(None, None, 2), slice(None, 0, -2)):
        assert found[one] == ROWS[one]
    with pytest.raises(IndexError):
        found[len(ROWS)]


def test_rows_are_taken_in_any_order():
    rows = [4, 0, 0, 3]
    taken = texts().take(rows)
    assert list(taken) == [ROWS[row] for row in rows]
    assert taken[1:3] == ["a", "a"]
    assert taken.key != texts().take([4, 0, 3, 0]).key and taken.key.startswith("k ")
    assert texts(key="").take(rows).key == ""
    part = taken.part(1, 4)
    assert list(part) == ["a", "a", "\ud800"] and len(part.data) < len(taken.data)


def test_columns_are_joined():
    assert list(joined([texts(), texts(["x", "y"])])) == [*ROWS, "x", "y"]
    assert joined([texts(), texts(["x"])]).key == "k k"
    assert joined([["a"], texts(["x"])]) == ["a", "x"]
    assert joined([ROWS]) is ROWS


def test_codes():
    rows = ["b", "a", "b", "c", "a"]
    found = Coded.of(rows)
    assert list(found) == rows and found[3] == "c" and found[1:3] == ["a", "b"]
    assert found.values == ["b", "a", "c"] and found.first_rows == [0, 1, 3]
    assert found.codes.tolist() == [0, 1, 0, 2, 1] and Coded.of(found) is found
    taken = found.take([4, 3, 1])
    assert list(taken) == ["a", "c", "a"]
    # Only what is there is checked as a label.
    assert sorted(taken.values) == ["a", "c"]
