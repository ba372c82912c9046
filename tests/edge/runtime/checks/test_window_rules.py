"""Convolutions and maxima of windows that do not make what they say of what they read."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transformer.edge.runtime.checks.op_rules import work
from keras_transformer.edge.runtime.checks.verify import verify
from keras_transformer.edge.tflite.rewrite import rewrite
from keras_transformer.zoo.errors import InputError
from tests.edge.runtime.checks.changes import changed, op_named, set_field, tensor_of


def tflite(padding="SAME", bits=8):
    """A file of a convolution with stride 2 and a maximum of 3 x 3 places."""
    kernel = np.random.default_rng(0).normal(size=(3, 2, 4, 6)).astype("float32")
    low = -4.0 * (32768 / 32767 if bits == 16 else 128 / 127)

    def stored(values):
        return tf.quantization.fake_quant_with_min_max_args(values, low, 4.0, num_bits=bits)

    def compute(x):
        x = stored(tf.nn.relu(tf.nn.conv2d(stored(x), kernel, 2, padding)))
        return tf.nn.max_pool2d(x, 3, 1, padding)

    spec = tf.TensorSpec([1, 9, 8, 4], tf.float32)
    concrete = tf.function(compute, input_signature=[spec]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return rewrite(converter.convert())


def option(op, name, value):
    return set_field(lambda model: op_named(model, op).builtinOptions, name, value)


def shape_of(op, place, value):
    return set_field(lambda model: tensor_of(model, op, place), "shape", np.array(value, "i4"))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("bits", [8, 16])
def test_what_the_converter_writes_is_ruled(padding, bits):
    assert verify(tflite(padding, bits), "a file").is_ruled


@pytest.mark.parametrize(("op", "change"), [
    ("CONV_2D", option("CONV_2D", "strideH", 0)),
    ("CONV_2D", option("CONV_2D", "strideW", 3)),
    ("CONV_2D", option("CONV_2D", "padding", 1)),
    ("CONV_2D", option("CONV_2D", "padding", 2)),
    ("CONV_2D", option("CONV_2D", "dilationHFactor", 2)),
    ("CONV_2D", option("CONV_2D", "dilationWFactor", 0)),
    ("CONV_2D", shape_of("CONV_2D", 1, [6, 3, 8, 1])),
    ("CONV_2D", shape_of("CONV_2D", 1, [6, 24])),
    ("CONV_2D", shape_of("CONV_2D", 2, [6, 1])),
    ("CONV_2D", set_field(lambda model: op_named(model, "CONV_2D"), "inputs", [0])),
    ("MAX_POOL_2D", option("MAX_POOL_2D", "strideW", 2)),
    ("MAX_POOL_2D", option("MAX_POOL_2D", "strideH", -1)),
    ("MAX_POOL_2D", option("MAX_POOL_2D", "filterHeight", 0)),
    ("MAX_POOL_2D", option("MAX_POOL_2D", "padding", 1)),
])  # fmt: skip
def test_windows_that_make_something_else(op, change):
    with pytest.raises(InputError, match=f"^a file is damaged: .*an op {op} makes "):
        verify(changed(tflite(), change), "a file")


def test_a_bias_of_another_type_than_is_named():
    change = option("CONV_2D", "quantizedBiasType", 0)
    with pytest.raises(InputError, match="an op CONV_2D makes INT16"):
        verify(changed(tflite(bits=16), change), "a file")


def test_multiplications():
    [graph] = verify(tflite(), "a file").model.graphs
    by_code = {op.code: work(op, graph.tensors) for op in graph.ops}
    assert (by_code[3], by_code[17]) == (5 * 4 * 6 * 24, 5 * 4 * 6 * 9)
