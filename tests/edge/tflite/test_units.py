import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.compare.parity import difference
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite.schema import count_ops
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from tests.edge.models import calibration, random_model
from tests.slow import mostly_slow

MEAN, DEVIATION = 250_000.0, 70_000.0


def in_units(checkpoint, mean=MEAN, deviation=DEVIATION):
    """A checkpoint whose outputs are multiplied by a deviation and added to a mean."""
    task = dataclasses.replace(checkpoint.task, mean=mean, deviation=deviation)
    model = build(checkpoint.config, task)
    set_weights(model, get_weights(checkpoint.model))
    return dataclasses.replace(checkpoint, task=task, model=model)


@pytest.mark.slow
@pytest.mark.parametrize("precision", mostly_slow(["float16", "int8", "integer", "int4"], ["int8"]))
def test_a_file_of_any_precision_writes_units(precision):
    # No float16 holds the mean or the deviation, and 256 steps from 0 to the mean are coarse.
    standard = random_model("regression", pooling="mean")
    given = {"calibration": calibration()} if get_precision(precision).is_static else {}
    plain = convert(standard, precision, **given)
    file = convert(in_units(standard), precision, **given)
    before = Runner(plain)
    after = Runner(file)
    texts = ["w1 w2 w3", "w30 w5", "w9"]
    expected = before.scores(texts).astype("float64") * DEVIATION + MEAN
    np.testing.assert_allclose(after.scores(texts), expected, rtol=2e-7)
    if before.description["output_step"] is None:
        assert after.description["output_step"] is None
    else:
        step = before.description["output_step"] * DEVIATION
        assert after.description["output_step"] == pytest.approx(step)
    ops = count_ops(unpack(file)[0])
    ops.subtract(count_ops(unpack(plain)[0]))
    assert {name: more for name, more in ops.items() if more} == {"MUL": 1, "ADD": 1}


def test_the_main_graph_and_each_length_write_units():
    standard = random_model("regression")
    data = unpack(convert(in_units(standard), "float32", lengths=[6, 12]))[0]
    interpreter = Interpreter(model_content=data)
    ids = np.array([[2, 9, 8, 3, 0, 0]], np.int32)
    expected = standard.model.predict_on_batch({"ids": ids})[0, 0] * DEVIATION + MEAN
    for name, length in (("predict_6", 6), ("predict", 12)):
        padded = np.pad(ids, ((0, 0), (0, length - 6)))
        [found] = interpreter.get_signature_runner(name)(ids=padded).values()
        np.testing.assert_allclose(found, [[expected]], rtol=1e-6)
    [output] = interpreter.get_output_details()
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], padded)
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_tensor(output["index"]), [[expected]], rtol=1e-6)
    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0)).subgraphs[0]
    assert len({tensor.name for tensor in graph.tensors}) == len(graph.tensors)


def test_differences_are_counted_from_the_mean():
    reference = np.array([[250_000.0], [320_000.0], [180_000.0]], "float32")
    outputs = reference + np.array([[700.0], [-700.0], [0.0]], "float32")
    # 700 of a deviation of 70,000, and not of outputs of 250,000.
    found = difference(reference, outputs, None, (MEAN, DEVIATION))
    assert found.relative == pytest.approx(0.01 / np.sqrt(2 / 3), rel=1e-3)
    assert found.largest == pytest.approx(700, rel=1e-3)
    assert found.steps == pytest.approx(700 / (140_000 / 255), rel=1e-3)
    assert difference(reference, outputs, 350.0, (MEAN, DEVIATION)).steps == pytest.approx(2, 1e-3)
    # A step of float32 at the mean is no difference of the models.
    near = np.nextafter(reference, np.inf, dtype="float32")
    assert difference(reference, near, None, (MEAN, DEVIATION)).largest < 0.01
    assert difference(reference, near, None).largest > 0.01


def test_a_vector_has_no_units():
    file = convert(in_units(random_model("regression")), target="mediapipe", embedding=True)
    same = convert(random_model("regression"), target="mediapipe", embedding=True)
    assert count_ops(unpack(file)[0]) == count_ops(unpack(same)[0])
    assert file.parity == same.parity
