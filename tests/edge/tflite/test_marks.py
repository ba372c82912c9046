"""Files that were converted with marks in place of weights, against those with the weights."""

import gc

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.convert import convert as conversion
from keras_transformer.edge.convert import marked
from keras_transformer.edge.convert.convert import Request, convert_graph
from keras_transformer.edge.convert.marked import marks_of
from keras_transformer.edge.graphs.static import make_signatures
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.tflite.marks import Constants, Mark
from keras_transformer.edge.tflite.schema import op_name
from keras_transformer.zoo.errors import RunError
from tests.edge.generators import changes_for, generator


def kernels_of(trained, precision):
    """The kernels and tables of a file with their scales, of each signature, sorted."""
    request = Request(checkpoint=trained, precision=get_precision(precision))
    graph = convert_graph(
        request, trained.max_length,
        lambda model: make_signatures(trained, model, [trained.max_length]),
    )  # fmt: skip
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(graph.flatbuffer, 0))
    found = []
    for part in model.subgraphs:
        for op in part.operators:
            if op_name(model.operatorCodes[op.opcodeIndex]) not in ("FULLY_CONNECTED", "GATHER"):
                continue
            for place in op.inputs.tolist():
                tensor = part.tensors[place]
                data = model.buffers[tensor.buffer].data
                if place >= 0 and data is not None and len(data):
                    scale = None if tensor.quantization is None else tensor.quantization.scale
                    scale = b"" if scale is None else np.asarray(scale).tobytes()
                    found.append((tensor.type, tensor.shape.tolist(), data.tobytes(), scale))
    return sorted(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        ("llama", "dynamic_int8"), pytest.param("t5", "float32", marks=pytest.mark.slow),
        pytest.param("gemma", "int4", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_files_hold_the_same_kernels_as_without_marks(kind, precision, monkeypatch):
    # The order of independent ops may be another one.
    trained = generator(kind, num_layers=2, **changes_for(precision))
    assert len(marks_of(trained.model, trained.max_length)) > 3
    found = kernels_of(trained, precision)
    assert len(found) > 20
    monkeypatch.setattr(conversion, "marks_of", lambda model, length: [])
    assert kernels_of(trained, precision) == found


def test_a_large_table_has_few_rows_while_it_is_converted(monkeypatch):
    trained = generator("llama", num_layers=1, vocab_size=2049, logits_bias=True)
    # The first prime above twice the widest layer's 48.
    few = {mark.paths[0]: mark.rows for mark in marks_of(trained.model, 32) if mark.rows}
    assert few == {"token_embedding/embeddings": 97, "token_embedding/logits_bias": 97}
    converted = kernels_of(trained, "dynamic_int8")
    assert {2049, 32} in [set(shape) for _, shape, _, _ in converted]
    monkeypatch.setattr(marked, "_fewer", lambda *given: (None, []))
    assert kernels_of(trained, "dynamic_int8") == converted


def test_a_table_stays_whole_where_its_size_is_that_of_more_or_too_small():
    twice = generator("llama", num_layers=1, vocab_size=2049, tied_head=False)
    assert not any(mark.rows for mark in marks_of(twice.model, 32))
    assert not any(mark.rows for mark in marks_of(generator("llama").model, 32))
    # Twice the length of the inputs, at least, is no longer a quarter of the table.
    long = generator("llama", num_layers=1, vocab_size=2049)
    assert not any(mark.rows for mark in marks_of(long.model, 512))


def graphs():
    """The graphs in memory."""
    gc.collect()
    return sum(issubclass(type(one), tf.Graph) for one in gc.get_objects())


@pytest.mark.slow
def test_no_graph_is_held_after_a_conversion():
    # TensorFlow registers custom gradients, such as its own of silu, for good.
    trained = generator("llama", num_layers=3)
    kernels_of(trained, "float32")
    before = graphs()
    kernels_of(trained, "float32")
    assert graphs() == before


def test_a_model_whose_norms_add_has_no_marks():
    assert marks_of(generator("gpt").model, 32) == []


def test_blocks_share_marks_in_their_order():
    marks = {mark.paths[0]: mark for mark in marks_of(generator("llama", num_layers=12).model, 32)}
    shared = marks["decoder/block_0/attention/sublayer/query/kernel"]
    assert shared.paths == tuple(
        f"decoder/block_{block}/attention/sublayer/query/kernel" for block in range(12)
    )
    table = marks["token_embedding/embeddings"]
    assert table.is_alone and len(table.paths) == 1


def model_of(values, times=1):
    """A model of so many matmuls with one constant."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    constant, buffer = schema.TensorT(), schema.BufferT()
    constant.type, constant.shape = schema.TensorType.FLOAT32, np.array(values.shape, np.int32)
    constant.buffer, constant.name = 1, b"constant"
    buffer.data = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint8)
    graph.tensors, graph.operators = [constant], []
    for _ in range(times):
        op = schema.OperatorT()
        op.inputs = np.array([0, -1], np.int32)
        graph.operators.append(op)
    model.subgraphs, model.buffers = [graph], [schema.BufferT(), buffer]
    return model


def test_factors_of_channels_are_kept():
    mark = Mark(number=7, paths=("a", "b"), shape=(3, 2), axis=0, is_alone=False)
    weights = {"a": np.arange(6.0).reshape(3, 2), "b": np.ones((3, 2))}
    factors = np.array([[0.5], [3.0]], np.float32)
    model = model_of(mark.values().T * factors, times=2)
    Constants(model, [mark], weights.__getitem__).fill()
    [graph] = model.subgraphs
    for op, path in zip(graph.operators, ("a", "b"), strict=True):
        data = model.buffers[graph.tensors[op.inputs[0]].buffer].data
        np.testing.assert_array_equal(
            data.view(np.float32).reshape(2, 3), weights[path].T * factors
        )


def test_a_mark_that_no_graph_has_is_named():
    mark = Mark(number=1, paths=("some/kernel",), shape=(3, 2), axis=0, is_alone=False)
    with pytest.raises(RunError, match="some/kernel"):
        Constants(model_of(np.ones((3, 2))), [mark], None)


def test_more_uses_than_weights_are_refused():
    mark = Mark(number=1, paths=("a/kernel", "b/kernel"), shape=(3, 2), axis=0, is_alone=False)
    with pytest.raises(RunError, match="a/kernel and its like to be read 2 times"):
        Constants(model_of(mark.values(), times=3), [mark], None)


def with_numbers(model, values):
    """The same model with one more op, which reads these numbers."""
    [graph], buffer = model.subgraphs, schema.BufferT()
    buffer.data = np.array(values, np.int32).view(np.uint8)
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.buffer = b"numbers", schema.TensorType.INT32, 2
    op = schema.OperatorT()
    op.inputs, op.opcodeIndex = np.array([0, len(graph.tensors)], np.int32), 0
    graph.tensors.append(tensor)
    graph.operators.append(op)
    model.buffers.append(buffer)
    model.operatorCodes = [schema.OperatorCodeT(builtinCode=schema.BuiltinOperator.ADD)]
    return model


def test_fewer_rows_are_restored_or_refused():
    mark = Mark(number=1, paths=("table",), shape=(20, 2), axis=1, is_alone=True, rows=5)
    table = np.arange(40, dtype=np.float32).reshape(20, 2)
    model = model_of(mark.values() * np.float32(0.5))
    Constants(model, [mark], {"table": table}.__getitem__).fill()
    [graph] = model.subgraphs
    tensor = graph.tensors[graph.operators[0].inputs[0]]
    assert tensor.shape.tolist() == [20, 2]
    np.testing.assert_array_equal(
        model.buffers[tensor.buffer].data.view(np.float32).reshape(20, 2), 0.5 * table
    )
    with pytest.raises(RunError, match="Expected 5 .* numbers"):
        Constants(with_numbers(model_of(mark.values()), [1, 5]), [mark], None)
