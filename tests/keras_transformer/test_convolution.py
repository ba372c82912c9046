import keras
import numpy as np
import pytest

from keras_transformer import Convolution, ConvolutionalTokenizer
from keras_transformer.rounding import round_rows
from tests import reference
from tests.keras_transformer.checks import (
    assert_close,
    built,
    check_gradients,
    check_precision,
    check_round_trip,
    fill,
    normal,
    values,
)

X = normal(2, 6, 5, 3)
BITS = {"kernel_bits": 8, "activation_bits": 8}


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), (2, 1), (1, 3), (7, 2)])
def test_a_convolution(kernel_size, stride, use_bias):
    layer = built(Convolution(4, kernel_size=kernel_size, stride=stride, use_bias=use_bias), X)
    expected = reference.convolution(values(layer), X, stride)
    assert_close(layer(X), expected)
    assert layer.compute_output_shape(X.shape) == expected.shape


def test_gradients():
    x = normal(1, 3, 4, 2)
    layer = built(Convolution(3, stride=2), x)
    check_gradients(layer, lambda w, x: reference.convolution(w, x, 2), x)


@pytest.mark.parametrize("bits", [4, 8])
def test_each_output_channel_has_a_grid_of_8_bits(bits):
    x = normal(2, 4, 4, 32)
    layer = built(Convolution(5, bits={"kernel_bits": bits, "kernel_block": 32}), x)
    w = values(layer)
    scale = np.abs(w["kernel"]).max(axis=(0, 1, 2)) / 127
    w["kernel"] = np.rint(w["kernel"] / scale) * scale
    assert_close(layer(x), reference.convolution(w, x), atol=2e-5)
    assert_close(layer.scale, scale.reshape(1, 1, 5))


def test_images_are_rounded_as_a_whole():
    x = X * np.float32([1.0, 10.0]).reshape(2, 1, 1, 1)
    layer = built(Convolution(4, bits={"kernel_bits": 8, "row_bits": 8}), x)
    rounded = keras.ops.convert_to_numpy(round_rows(x.reshape(2, -1), 8)).reshape(x.shape)
    assert_close(layer.rows_read(x), rounded)
    scale = keras.ops.convert_to_numpy(layer.scale).reshape(-1)
    w = values(layer)
    w["kernel"] = np.rint(w["kernel"] / scale) * scale
    assert_close(layer(x), reference.convolution(w, rounded), atol=2e-5)
    assert not np.allclose(keras.ops.convert_to_numpy(layer(x)), reference.convolution(w, x))


@pytest.mark.parametrize("layers", [1, 2])
def test_a_tokenizer(layers):
    layer = ConvolutionalTokenizer(8, num_layers=layers, inner_units=4)
    built(layer, X)
    w, expected = values(layer), X
    for number in range(layers):
        one = reference.convolution(w[f"convolution_{number}"], expected)
        expected = reference.max_pool(np.maximum(one, 0.0))
    expected = expected.reshape(2, -1, 8)
    assert_close(layer(X), expected)
    assert layer.compute_output_shape(X.shape) == expected.shape
    assert "bias" not in w["convolution_0"]


def test_its_sizes():
    layer = ConvolutionalTokenizer(8, num_layers=2, kernel_size=7, stride=2)
    assert layer.compute_output_shape((None, 224, 224, 3)) == (None, 14 * 14, 8)
    assert layer(normal(1, 32, 32, 3)).shape == (1, 4, 8)


def test_a_tokenizer_rounds_what_is_stored():
    layer = ConvolutionalTokenizer(8, bits=BITS)
    layer(X)
    fill(layer)
    layer.points[0].set_range(0.0, 2.0)
    found = keras.ops.convert_to_numpy(layer(X)) / (2.0 / 255)
    np.testing.assert_allclose(found, np.rint(found), atol=1e-3)
    assert found.max() <= 255.5 and len(np.unique(np.rint(found))) > 20


@pytest.mark.parametrize("name", ["kernel_size", "stride", "num_layers", "pool_size", "units"])
def test_a_size_that_is_none(name):
    arguments = {"units": 4, **{name: 0}}
    with pytest.raises(ValueError, match=f"{name} to be at least 1, got {name}=0"):
        ConvolutionalTokenizer(arguments.pop("units"), **arguments)


def test_round_trips(tmp_path):
    check_round_trip(tmp_path, Convolution(4, stride=2, bits=BITS), X)
    check_round_trip(tmp_path, ConvolutionalTokenizer(4, num_layers=2, bits=BITS), X)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(policy):
    check_precision(policy, lambda **kwargs: Convolution(4, **kwargs), X)
