import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.tflite.compact import compact, to_bytes
from keras_transformer.edge.tflite.schema import count_ops


def spread(flatbuffer):
    """The same model as the converter leaves it: long names, every vector written out."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    graph = model.subgraphs[0]
    kept = {*graph.inputs.tolist(), *graph.outputs.tolist()}
    for place, tensor in enumerate(graph.tensors):
        if place not in kept:
            tensor.name = f"encoder_model/a/long/path/of/layers/{place}".encode()
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def outputs(flatbuffer, ids):
    runner = Interpreter(model_content=flatbuffer).get_signature_runner("predict")
    return runner(ids=ids)["output"]


def test_the_same_model_in_fewer_bytes(files):
    flatbuffer, description, _ = unpack(files["int8"])
    long = spread(flatbuffer)
    short = compact(long)
    assert short == flatbuffer
    assert len(short) < 0.8 * len(long)
    assert count_ops(short) == count_ops(long)
    ids = np.arange(description["max_length"], dtype=np.int32)[None]
    np.testing.assert_array_equal(outputs(short, ids), outputs(long, ids))


def test_constants_are_aligned_as_the_schema_asks(files):
    for path in files.values():
        flatbuffer, _, _ = unpack(path)
        start = np.frombuffer(flatbuffer, np.uint8).ctypes.data
        model = schema.Model.GetRootAs(flatbuffer, 0)
        buffers = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength())]
        starts = [b.ctypes.data - start for b in buffers if isinstance(b, np.ndarray)]
        assert len(starts) > 10
        assert {place % 16 for place in starts} == {0}


@pytest.mark.parametrize("size", [0, 1 << 24])
def test_any_estimate_of_the_size_gives_the_same_bytes(files, size):
    flatbuffer, _, _ = unpack(files["int8"])
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    assert to_bytes(model, size) == flatbuffer
