import numpy as np
import pytest

from keras_transformer.edge.compare.parity import Parity, difference, measure_parity
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.zoo.errors import RunError


def parity(**values):
    given = {
        "rows": 9, "agreement": 1.0, "largest": 0.5, "relative": 0.0, "steps": None,
        "outliers": None,
    }  # fmt: skip
    return Parity(**{**given, **values})


def test_difference_of_classes():
    reference = np.array([[3.0, 0.0], [0.0, 4.0]])
    outputs = np.array([[3.0, 0.5], [4.25, 4.0]])
    assert difference(reference, outputs, 0.5) == Parity(
        rows=2, agreement=0.5, largest=4.25, relative=4.25 / 2.5, steps=8.5, outliers=0.5
    )


def test_difference_of_numbers():
    outputs = np.array([[1.0], [2.5]])
    assert difference(np.array([[1.0], [2.0]]), outputs, None) == Parity(
        rows=2, agreement=None, largest=0.5, relative=0.5 / np.sqrt(2.5), steps=None, outliers=None
    )


@pytest.mark.parametrize(
    ("precision", "values", "limit"),
    [
        ("float32", {"relative": 2e-4}, "0.0001 of the outputs' size, got a difference of 0.5"),
        ("float16", {"relative": 0.03}, "0.02 of the outputs' size, got a difference of 0.5"),
        ("dynamic_int8", {"relative": 0.6}, "0.5 of the outputs' size, got a difference of 0.5"),
        (
            "int8", {"steps": 9.0, "outliers": 1 / 9},
            "8 output steps, got a difference of 0.5 (9.0 steps, more than 8 in 11.1% of rows)",
        ),
        ("int8", {"steps": None}, "8 output steps, got a difference of 0.5"),
        ("float32", {"largest": np.nan}, "0.0001 of the outputs' size, got a difference of nan"),
    ],
)
def test_a_file_that_does_not_follow_is_refused(precision, values, limit):
    with pytest.raises(RunError) as caught:
        parity(**values).check(get_precision(precision))
    assert str(caught.value) == (
        f"Expected the {precision} file to follow the Keras model within {limit} "
        "on 9 rows; nothing was written."
    )


def test_a_file_that_follows_is_accepted():
    parity(relative=1e-5).check(get_precision("float32"))
    parity(steps=3.0, outliers=0.0).check(get_precision("int8"))


def test_one_row_of_a_hundred_may_be_an_outlier():
    reference = np.zeros((200, 3))
    for count, follows in ((2, True), (3, False)):
        outputs = reference.copy()
        outputs[:count, 1] = 40.0
        found = difference(reference, outputs, 1.0)
        assert (found.steps, found.outliers) == (40.0, count / 200)
        if follows:
            found.check(get_precision("int8"))
        else:
            with pytest.raises(RunError, match=r"\(40.0 steps, more than 8 in 1.5% of rows\)"):
                found.check(get_precision("int8"))
    with pytest.raises(RunError, match=r"\(9.0 steps, more than 8 in 1.6% of rows\)"):
        difference(reference[:64], np.eye(64, 3) * [9.0, 0, 0], 1.0).check(get_precision("int8"))


def test_another_models_file_does_not_follow(runs, files):
    data = files["float32"].read_bytes()
    assert measure_parity(runs.trained.model, runs.trained, data).relative < 1e-4
    flatbuffer, description, rest = unpack(files["int8"])
    other = pack(flatbuffer, {**description, "output_step": None}, rest)
    far = measure_parity(runs.trained.model, runs.trained, other)
    with pytest.raises(RunError, match="Expected the float32 file to follow the Keras model"):
        far.check(get_precision("float32"))
