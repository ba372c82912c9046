import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.outputs import cosines, nearest, vectors_as

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


def test_vectors_in_int8_have_the_same_cosines():
    vectors = np.random.default_rng(0).normal(size=(20, 64)).astype("float32")
    found = vectors_as(vectors, None, "int8")
    expected = np.round(127 * vectors / np.sqrt((vectors**2).sum(1, keepdims=True)))
    np.testing.assert_array_equal(found, expected.astype("int8"), strict=True)
    # Each number is off by half a step of 127 at most.
    units = vectors / np.sqrt((vectors**2).sum(1, keepdims=True))
    expected_cosines = units @ units.T
    products = found.astype("int32") @ found.astype("int32").T / 127**2
    np.testing.assert_allclose(products, expected_cosines, atol=0.02)
    assert vectors_as(vectors, 5, "int8").shape == (20, 5)
    assert vectors_as(VECTORS, None, "int8")[3].tolist() == [0, 0]
    with pytest.raises(InputError, match="^Expected dtype to be float32 or int8, got dtype='int4'"):
        vectors_as(vectors, None, "int4")
