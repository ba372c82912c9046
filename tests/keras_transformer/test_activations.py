"""Activations with and without custom gradients."""

import contextlib
import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_transformer.activations import gelu, silu, without_own_gradients
from tests.keras_transformer.checks import gradients, normal


class Gelu(keras.layers.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


def gradient(function, x):
    layer = Gelu(function)
    layer(x)
    (actual,), _ = gradients(layer, [x])
    return actual


X = np.concatenate([np.linspace(-12, 12, 241), [-0.0, 1e-8, -40.0, 40.0]]).astype("float32")


def test_gradient_equals_the_derivative():
    derivative = [
        0.5 * (1 + math.erf(x / math.sqrt(2))) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        for x in X.astype("float64")
    ]
    expected = derivative * normal(*X.shape, seed=99)
    np.testing.assert_allclose(gradient(gelu, X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4)])
def test_gradient_equals_that_of_keras_gelu(shape):
    x = 2 * normal(*shape)
    theirs = gradient(lambda x: ops.gelu(x, approximate=False), x)
    np.testing.assert_allclose(gradient(gelu, x), theirs, rtol=1e-5, atol=1e-6)


def test_without_its_own_gradient_gelu_is_keras():
    x = keras.ops.convert_to_tensor(X)
    own = keras.ops.convert_to_numpy(gelu(x))
    theirs = keras.ops.convert_to_numpy(ops.gelu(x, approximate=False))
    assert (own != theirs).any()
    with without_own_gradients():
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(gelu(x)), theirs)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(gelu(x)), own)


@pytest.mark.parametrize("is_custom", [True, False])
def test_silu(is_custom):
    with contextlib.nullcontext() if is_custom else without_own_gradients():
        actual = keras.ops.convert_to_numpy(silu(keras.ops.convert_to_tensor(X)))
        slope = gradient(silu, X)
    x = X.astype("float64")
    sigmoid = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(actual, x * sigmoid, rtol=1e-5, atol=1e-7)
    expected = (sigmoid + x * sigmoid * (1 - sigmoid)) * normal(*X.shape, seed=99)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)
