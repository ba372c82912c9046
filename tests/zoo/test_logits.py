import warnings

import numpy as np
import pytest

from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.logits import finite, sigmoid


def test_the_sigmoid_overflows_nowhere():
    logits = np.array([-1e4, -3.0, 0.0, 3.0, 1e4], "float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sigmoid(logits)
    assert found.dtype == np.float64
    middle = 1 / (1 + np.exp(-logits[1:4].astype("float64")))
    np.testing.assert_allclose(found, [0.0, *middle, 1.0], rtol=1e-12)


@pytest.mark.parametrize(
    ("outputs", "of", "said"),
    [
        (np.array([[0.0, np.nan], [1.0, 2.0], [np.inf, -np.inf]]), "rows", "2 of 3 rows"),
        (np.array([0.0, np.nan]), "pieces", "1 of 2 pieces"),
        ([np.zeros((3, 2)), np.zeros((0, 2)), np.full((1, 2), np.nan)], "windows", "1 of 3 wind"),
    ],
)
def test_outputs_that_are_no_numbers_are_counted(outputs, of, said):
    with pytest.raises(RunError, match=f"^Expected finite outputs of the model, got .* in {said}"):
        finite(outputs, of)


@pytest.mark.parametrize("outputs", [np.zeros((2, 3)), np.zeros((0, 5)), [], [np.zeros((0, 2))]])
def test_numbers_are_returned_as_they_are(outputs):
    assert finite(outputs) is outputs
