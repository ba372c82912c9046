"""Words of raw text and their places."""

import re
import unicodedata

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tagging.words import checked_words, joined, words_of
from tests.hard_strings import HARD


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ada's two-year plan.", ["Ada", "'", "s", "two", "-", "year", "plan", "."]),
        ("U.S. GDP: 3.5%, 1,000 (a,b)",
         ["U.S", ".", "GDP", ":", "3.5", "%", ",", "1,000", "(", "a", ",", "b", ")"]),
        ("\t nai\u0308ve\u00a0caf\u00e9\n", ["nai\u0308ve", "caf\u00e9"]),
        ("\u5929\u6c17 ok", ["\u5929", "\u6c17", "ok"]),
        ("co\u00adop \u0915\u094d\u200d\u0937", ["co\u00adop", "\u0915\u094d\u200d\u0937"]),
        ("...a", [".", ".", ".", "a"]),
        ("a_b \U0001f6a2", ["a", "_", "b", "\U0001f6a2"]),
        (" \x00\x07 ", []), ("", []),
    ],
)  # fmt: skip
def test_words_of_a_text(text, words):
    assert words_of(text).words == words


def test_words_cover_all_that_is_no_space_once_and_in_order():
    rng = np.random.default_rng(0)
    characters = [*"ab1.,'- \t", "\u00e9", "\u5929", "\u0301", "\ufb01", "\u2028", "\ud800", "\x85"]
    texts = ["".join(rng.choice(characters, 30)) for _ in range(200)]
    for text in [*HARD, *texts]:
        found = words_of(text)
        covered = np.zeros(len(text), int)
        for start, end in found.places:
            assert start < end
            covered[start:end] += 1
        wanted = [
            not (one.isspace() or unicodedata.category(one) in ("Cc", "Zs", "Zl", "Zp"))
            for one in text
        ]
        np.testing.assert_array_equal(covered, wanted, err_msg=repr(text))
        assert found.places == sorted(found.places)


def test_given_words_have_spaces_between_them():
    found = joined(["New York", "is", "."])
    assert found.text == "New York is ."
    assert found.words == ["New York", "is", "."]
    assert joined([]) == ("", [])


def test_rows_are_texts_or_lists_of_words():
    rows = checked_words(["a b", ["a", "b"], ("c",), np.array(["d"], object)])
    assert [row.words for row in rows] == [["a", "b"], ["a", "b"], ["c"], ["d"]]
    assert checked_words(rows) == rows


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        ("a text", InputError, "got one string; put it in a list"),
        ([3], TypeError, "row 1: expected a text or a list of words, got 3"),
        (["a", ["b", 3]], TypeError, "row 2: expected words to be strings, got 3"),
        ([["b", ""]], InputError, "row 1: expected words of some characters, got an empty one"),
    ],
)
def test_other_rows_are_refused(rows, error, said):
    with pytest.raises(error, match=re.escape(said)):
        checked_words(rows)
