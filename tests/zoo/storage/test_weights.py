"""Weights as bytes in the safetensors format."""

import hashlib

import keras
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.files import (
    weights_digest,
    weights_from_bytes,
    weights_to_bytes,
)


def test_weights_round_trip():
    weights = {
        "block/kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "scale": np.float32(2.5),
        "half": np.array([1.5], np.float16),
        "step": np.array(7, np.int64),
        "strided": np.arange(10, dtype=np.int32)[::2],
    }
    loaded = weights_from_bytes(weights_to_bytes(weights))
    assert loaded.keys() == weights.keys()
    for name, value in weights.items():
        assert loaded[name].dtype == value.dtype
        assert loaded[name].shape == value.shape
        np.testing.assert_array_equal(loaded[name], value)
    assert weights_to_bytes(dict(reversed(weights.items()))) == weights_to_bytes(weights)


def test_weights_of_a_type_that_could_not_be_read_back():
    with pytest.raises(ValueError, match="Expected NumPy's own number types, got a of bfloat16"):
        weights_to_bytes({"a": np.array([1.5], ml_dtypes.bfloat16)})
    foreign = safetensors.numpy.save({"a": np.array([1.5], ml_dtypes.bfloat16)})
    with pytest.raises(InputError, match="Expected weights in the safetensors format: 'BF16'"):
        weights_from_bytes(foreign)


@pytest.mark.parametrize("data", [b"", b"not weights at all"])
def test_bad_weights(data):
    with pytest.raises(InputError, match="Expected weights in the safetensors format"):
        weights_from_bytes(data)


def test_weights_cut_short():
    data = weights_to_bytes({"a": np.zeros(100, np.float32)})
    with pytest.raises(InputError, match="Expected weights in the safetensors format"):
        weights_from_bytes(data[:-1])


def test_the_digest_is_that_of_the_bytes():
    rng = np.random.default_rng(0)
    weights = {
        "b/é": rng.normal(size=(3, 5)).astype("float32"),
        "a": np.float32(2.5).reshape(()),
        "c/kernel": rng.normal(size=(4, 2)).astype("float32").T,
    }
    variables = [keras.Variable(value, name="one") for value in weights.values()]
    for variable, path in zip(variables, weights, strict=True):
        variable._path = path
    data = weights_to_bytes(weights)
    assert weights_digest(variables) == hashlib.sha256(data).hexdigest()
    assert weights_digest(variables, variables[:1], []) == hashlib.sha256(
        data + weights_to_bytes({"b/é": weights["b/é"]}) + weights_to_bytes({})
    ).hexdigest()
