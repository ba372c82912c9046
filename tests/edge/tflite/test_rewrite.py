from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.tflite.rewrite import rewrite
from keras_transformer.edge.tflite.schema import count_ops


def converted(function, *specs):
    concrete = tf.function(function, input_signature=specs).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()


def run(flatbuffer, *inputs):
    interpreter = Interpreter(model_content=flatbuffer)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_ids_are_looked_up_as_they_are():
    table = np.arange(12, dtype="float32").reshape(6, 2)

    def look_up(ids):
        return tf.gather(tf.constant(table), tf.where(ids < 0, ids + 6, ids))

    before = converted(look_up, tf.TensorSpec([4], tf.int32))
    after = rewrite(before)
    assert {"LESS", "ADD"} <= set(count_ops(before))
    assert dict(count_ops(after)) == {"GATHER": 1}
    ids = np.array([0, 5, 2, 2], "int32")
    np.testing.assert_array_equal(run(after, ids), table[ids])


def test_another_selection_stays():
    def select(ids):
        return tf.where(ids < 0, ids + 6, 2 * ids)

    before = converted(select, tf.TensorSpec([4], tf.int32))
    after = rewrite(before)
    assert count_ops(after) == count_ops(before)
    ids = np.array([-1, 5, 2, -3], "int32")
    np.testing.assert_array_equal(run(after, ids), np.where(ids < 0, ids + 6, 2 * ids))


@pytest.mark.parametrize(
    ("share", "axes", "ops"),
    [
        (1 / 12, [-1], {"MEAN": 1}), (1 / 60, [1, 2], {"MEAN": 1}),
        (1 / 13, [-1], {"MUL": 1, "SUM": 1}), (1 / 12, [1], {"MUL": 1, "SUM": 1}),
    ],
)  # fmt: skip
def test_a_sum_of_shares_is_a_mean(share, axes, ops):
    def reduce(x):
        return tf.reduce_sum(x * share, axes, keepdims=True)

    before = converted(reduce, tf.TensorSpec([2, 5, 12], tf.float32))
    after = rewrite(before)
    assert dict(count_ops(after)) == ops
    x = np.random.default_rng(0).normal(size=(2, 5, 12)).astype("float32")
    expected = (x.astype("float64") * share).sum(tuple(axes), keepdims=True)
    np.testing.assert_allclose(run(after, x), expected, rtol=1e-5, atol=1e-6)


def test_shares_that_another_op_reads_stay():
    def reduce(x):
        shares = x * (1 / 12)
        return tf.concat([tf.reduce_sum(shares, -1, keepdims=True), shares], -1)

    after = rewrite(converted(reduce, tf.TensorSpec([5, 12], tf.float32)))
    assert dict(count_ops(after)) == {"MUL": 1, "MEAN": 1, "CONCATENATION": 1}
    x = np.random.default_rng(0).normal(size=(5, 12)).astype("float32")
    np.testing.assert_allclose(run(after, x), reduce(x), rtol=1e-5, atol=1e-6)


def test_a_float_softmax_is_not_stored_before_it_is_reshaped():
    """As the converter leaves attention that is kept in float beside integers, with shared keys."""
    def attend(x, kernel):
        def stored(values):
            return tf.quantization.fake_quant_with_min_max_args(values, -4.0, 4.0)

        floats = tf.reshape(tf.nn.softmax(x), [1, 2, 6])
        return tf.matmul(floats, kernel), stored(stored(x) + stored(x))

    specs = tf.TensorSpec([1, 4, 3], tf.float32), tf.TensorSpec([1, 6, 5], tf.float32)
    concrete = tf.function(attend, input_signature=specs).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    before = converter.convert()
    after = rewrite(before)
    removed = Counter(count_ops(before)) - Counter(count_ops(after))
    assert removed == {"QUANTIZE": 1, "DEQUANTIZE": 1}
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 4, 3)).astype("float32")
    kernel = rng.normal(size=(1, 6, 5)).astype("float32")
    shares = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    interpreter = Interpreter(model_content=after)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], x if detail["shape"][1] == 4 else kernel)
    interpreter.invoke()
    found = [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
    [products] = [one for one in found if one.shape == (1, 2, 5)]
    np.testing.assert_allclose(products, shares.reshape(1, 2, 6) @ kernel, rtol=1e-5, atol=1e-6)


def test_the_bias_of_a_convolution_of_16_bits():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 4, 6)).astype("float32")
    scale = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    kernel, bias = np.float32(np.rint(kernel / scale) * scale), np.float32(rng.normal(size=6))

    def stored(values):
        low, high = -20.0 * 32768 / 32767, 20.0
        return tf.quantization.fake_quant_with_min_max_args(values, low, high, num_bits=16)

    def convolve(x):
        return stored(tf.nn.bias_add(tf.nn.conv2d(stored(x), kernel, 1, "SAME"), bias))

    spec = tf.TensorSpec([1, 5, 5, 4], tf.float32)
    concrete = tf.function(convolve, input_signature=[spec]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    after = rewrite(converter.convert())
    assert count_ops(after) == {"QUANTIZE": 1, "CONV_2D": 1, "DEQUANTIZE": 1}
    x = rng.normal(size=(1, 5, 5, 4)).astype("float32")
    # The bias is rounded to a thousandth of a step, and ties may fall the other way.
    np.testing.assert_allclose(run(after, x), convolve(tf.constant(x)), atol=1.01 * 20 / 32767)


def test_tensors_that_nothing_refers_to_are_dropped():
    """What stored pixels in float is gone with its ops, and the others keep their meaning."""
    def read(pixels):
        x = (tf.cast(pixels, tf.float32) - 128.0) * (1 / 128)
        x = tf.quantization.fake_quant_with_min_max_args(x, -1.0, 127 / 128)
        return {"output": tf.quantization.fake_quant_with_min_max_args(x + x, -2.0, 2.0)}

    module = tf.Module()
    module.read = tf.function(read, input_signature=[tf.TensorSpec([1, 5], tf.uint8, "pixels")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.read.get_concrete_function()], module
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    before = converter.convert()
    after = rewrite(before)
    assert dict(count_ops(after)) == {"QUANTIZE": 1, "ADD": 1, "DEQUANTIZE": 1}
    graph = schema.Model.GetRootAs(after).Subgraphs(0)
    ops = [graph.Operators(place) for place in range(graph.OperatorsLength())]
    used = {int(one) for op in ops for one in (*op.InputsAsNumpy(), *op.OutputsAsNumpy())}
    assert used == set(range(graph.TensorsLength()))
    pixels = np.array([[0, 1, 128, 200, 255]], "uint8")
    np.testing.assert_allclose(run(after, pixels), run(before, pixels), atol=2 / 128)
    for flatbuffer in (before, after):
        predict = Interpreter(model_content=flatbuffer).get_signature_runner()
        np.testing.assert_array_equal(predict(pixels=pixels)["output"], run(flatbuffer, pixels))
