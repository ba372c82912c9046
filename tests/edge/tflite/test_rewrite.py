import numpy as np
import tensorflow as tf
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
