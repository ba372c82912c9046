"""LiteRT's CompiledModel runs every precision and every kind of model as its Interpreter does.

Both are in the package ai_edge_litert; an app on a phone is given the first.
"""

import numpy as np
import pytest
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.targets.convert import convert
from tests.edge import generators
from tests.edge.models import calibration, random_model

SLOW = ("int4", "float32", "float16", "dynamic_int8", "int16x8", "static_int8")


def run_compiled(model, signature, inputs, shapes):
    """Outputs by name, in the given shapes."""
    read, given = {}, {}
    for name, values in inputs.items():
        read[name] = model.create_input_buffer_by_name(signature, name)
        read[name].write(values)
    for name in shapes:
        given[name] = model.create_output_buffer_by_name(signature, name)
    model.run_by_name(signature, read, given)
    return {
        name: np.reshape(given[name].read(int(np.prod(shape)), np.float32), shape)
        for name, shape in shapes.items()
    }


def compare(path):
    """Runs each signature of a file in both, on tokens to half of the length."""
    flatbuffer, _, _ = unpack(path)
    interpreter = Interpreter(model_content=flatbuffer)
    compiled = CompiledModel.from_file(str(path))
    signatures = interpreter.get_signature_list()
    assert compiled.get_signature_list().keys() == signatures.keys()
    rng = np.random.default_rng(0)
    for signature in signatures:
        runner = interpreter.get_signature_runner(signature)
        inputs = {}
        for name, detail in runner.get_input_details().items():
            shape, is_float = detail["shape"], detail["dtype"] == np.float32
            inputs[name] = np.zeros(shape, detail["dtype"])
            half = (*[slice(None)] * (len(shape) - 1), slice((shape[-1] + 1) // 2))
            draw = rng.normal(0, 1, shape) if is_float else rng.integers(1, 8, shape)
            if name == "memory_mask":
                draw = np.ones(shape)
            if name != "position":
                inputs[name][half] = draw[half]
        expected = runner(**inputs)
        shapes = {name: values.shape for name, values in expected.items()}
        found = run_compiled(compiled, signature, inputs, shapes)
        for name, values in expected.items():
            # The same XNNPACK in the same package, on the same inputs.
            np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "precision",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in PRECISIONS],
)
def test_an_encoder_in_every_precision(precision, tmp_path):
    batches = calibration() if PRECISIONS[precision].is_static else None
    path = tmp_path / "model.tflite"
    converted = convert(random_model(pooling="mean"), precision, calibration=batches)
    path.write_bytes(bytes(converted))
    compare(path)


@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        pytest.param("transformer", "int8", marks=pytest.mark.slow),
        *(
            pytest.param(kind, "float32", marks=() if kind == "llama" else pytest.mark.slow)
            for kind in generators.KINDS
        ),
    ],
)
def test_models_that_generate(kind, precision, tmp_path):
    batches = generators.calibration(kind) if PRECISIONS[precision].is_static else None
    path = tmp_path / "model.tflite"
    trained = generators.generator(kind, **generators.changes_for(precision))
    converted = convert(trained, precision, calibration=batches, lengths=generators.LENGTHS)
    path.write_bytes(bytes(converted))
    compare(path)
