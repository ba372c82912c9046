import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.raw_texts import checked_pairs, checked_texts


@pytest.mark.parametrize(
    "texts", [["a", "b"], ("a", "b"), np.array(["a", "b"]), iter(["a", "b"])], ids=type
)
def test_texts_become_a_list_of_strings(texts):
    assert checked_texts(texts) == ["a", "b"]


@pytest.mark.parametrize(
    ("texts", "kind", "sentence"),
    [
        ("a", InputError, "Expected a list of texts, got one string; put it in a list."),
        (None, TypeError, "Expected texts to be a list of strings, got texts=None."),
        (3, TypeError, "Expected texts to be a list of strings, got texts=3."),
        (b"a", TypeError, "Expected texts to be a list of strings, got texts=b'a'."),
        ({"a": 1}, TypeError, "Expected texts to be a list of strings, got texts={'a': 1}."),
        (["a", None], TypeError, "Expected texts to hold strings, got None in place 2."),
        ([float("nan")], TypeError, "Expected texts to hold strings, got nan in place 1."),
        ([list(range(99))], TypeError, "Expected texts to hold strings, got [0, 1, 2, 3, 4, 5, 6, "
         "7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,…] in place 1."),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_list_of_texts(texts, kind, sentence):
    with pytest.raises(kind) as caught:
        checked_texts(texts)
    assert str(caught.value) == sentence


def test_second_texts():
    assert checked_pairs(["a", "b"], ("c", "d")) == ["c", "d"]
    with pytest.raises(InputError) as caught:
        checked_pairs(["a", "b"], ["c"])
    assert str(caught.value) == "Expected a second text for each of the 2 texts, got 1."
    with pytest.raises(InputError, match="^Expected a list of pairs, got one string"):
        checked_pairs(["a"], "c")
