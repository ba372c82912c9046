"""Heads that are vectors: the pooled outputs as they are, or of length 1."""

import keras
import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.models.last_layers import LEAST_LENGTH, UnitLength
from tests.slow import mostly_slow
from tests.zoo import tiny

IDS = {"ids": np.array([[5, 6, 7], [9, 8, 0]], "int32")}


@pytest.mark.parametrize("dtype", mostly_slow(["float32", "mixed_float16"], ["float32"]))
def test_a_vector_is_the_pooled_output_or_of_length_1(dtype):
    pooled = build(tiny.config(pooling="mean"), dtype=dtype)
    plain = build(tiny.config(pooling="mean"), Head(kind="vector"), dtype=dtype)
    normal = build(tiny.config(pooling="mean"), Head(kind="vector", normalize=True), dtype=dtype)
    for model in (plain, normal):
        set_weights(model, get_weights(pooled))
    expected = np.asarray(pooled(IDS))
    np.testing.assert_array_equal(np.asarray(plain(IDS)), expected)
    found = np.asarray(normal(IDS))
    assert found.dtype == "float32"
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected / lengths, rtol=1e-5, atol=1e-7)


def test_the_first_output_without_a_pooler_is_the_encoders_own():
    model = build(tiny.config(pooler="none"))
    assert not [path for path in get_weights(model) if path.startswith("pooler")]
    encoder = keras.Model(model.inputs, model.get_layer("encoder").output)
    np.testing.assert_array_equal(np.asarray(model(IDS)), np.asarray(encoder(IDS))[:, 0])


def test_a_vector_of_no_length_stays_finite():
    found = np.asarray(UnitLength()(np.array([[0.0, 0.0], [0.0, LEAST_LENGTH / 2]], "float32")))
    np.testing.assert_allclose(found, [[0, 0], [0, 0.5]], rtol=1e-5)


def test_what_is_no_vector():
    with pytest.raises(InputError, match="^Expected normalize of a vector head alone, got kind='p"):
        Head(units=3, normalize=True)
    with pytest.raises(InputError, match="^Expected units of a pooled or tokens head, or of a v"):
        Head(kind="masked", units=3)
    with pytest.raises(InputError, match="^Expected a vector head on encoder, got architecture="):
        Head(kind="vector").check("decoder")
