import numpy as np
import pytest

from keras_transformer.zoo.outputs import cosines, nearest

VECTORS = np.array([[3, 0], [0, 2], [1, 1], [0, 0], [0, 5]], "float32")


def test_cosines():
    others = np.array([[1, 1], [0, 9], [-1, -1], [1, 0], [1, 0]], "float32")
    np.testing.assert_allclose(cosines(VECTORS, others), [0.5**0.5, 1, -1, 0, 0], atol=1e-12)


@pytest.mark.parametrize("count", [3, 9])
def test_the_nearest_are_the_first_of_equals(count):
    places, found = nearest(np.array([[0, 1], [-1, 0]]), VECTORS, count)
    assert places.tolist() == [[1, 4, 2, 0, 3][:count], [1, 3, 4, 2, 0][:count]]
    np.testing.assert_allclose(found[0], [1, 1, 0.5**0.5, 0, 0][:count], atol=1e-12)
    assert found.shape == places.shape
