"""Graphs that are changed in one place each: the change is named, and LiteRT never sees it."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.runtime.checks import graph as reading
from keras_transformer.edge.runtime.checks.graph import read_model
from keras_transformer.edge.runtime.checks.tables import Damaged, Table, root
from tests.edge.runtime.checks.changes import (
    changed,
    constant,
    graph,
    kernel,
    set_field,
    set_item,
)


def first_op(model):
    return graph(model).operators[0]


def scaled(model):
    return kernel(model).quantization


def last_tensor(model):
    return graph(model).tensors[-1]


CHANGES = [
    (set_field(lambda m: m, "version", 2), "TFLite's version 2, not 3"),
    (set_field(lambda m: m.buffers[0], "data", np.ones(4, np.uint8)), "buffer 0"),
    (set_field(lambda m: m.buffers[1], "offset", 1 << 40), "stands outside the flatbuffer"),
    (set_field(lambda m: m, "subgraphs", []), "it has no graph"),
    (set_field(lambda m: m.metadata[0], "buffer", 9999), "buffer of its metadata is number 9999"),
    (lambda m: m.signatureDefs.append(m.signatureDefs[0]), "two signatures 'predict'"),
    (set_item(graph, "inputs", 0, 9999), "graph's input is number 9999"),
    (set_item(graph, "outputs", 0, -1), "graph's output is number -1"),
    (set_field(first_op, "inputs", [0, 77777]), "op 0 reads is number 77777"),
    (set_field(first_op, "outputs", [77777]), "op 0 makes is number 77777"),
    (set_field(first_op, "opcodeIndex", 9999), "kind of an op is number 9999"),
    (set_field(last_tensor, "type", 77), "a tensor is of type 77"),
    (set_field(last_tensor, "buffer", 1 << 20), "buffer of a tensor is number 1048576"),
    (set_field(last_tensor, "shape", [-5]), "shape [-5]"),
    (set_field(last_tensor, "shape", [1 << 20, 1 << 20]), "shape [1048576, 1048576]"),
    (set_field(last_tensor, "shapeSignature", [7, 7, 7, 7]), "another one for callers"),
    (set_field(last_tensor, "isVariable", True), "a variable"),
    (set_field(kernel, "shape", [64, 64]), "a constant of INT8 and the shape [64, 64] has"),
    (set_item(scaled, "scale", 0, np.nan), "scales from nan"),
    (set_item(scaled, "scale", 0, -1.0), "scales from -1.0"),
    (set_item(scaled, "scale", 0, np.inf), "to inf"),
    (set_item(scaled, "zeroPoint", 0, 5000), "zero points outside -128 to 127"),
    (set_field(scaled, "zeroPoint", [0]), "scales and 1 zero points"),
    (set_field(scaled, "scale", []), "zero points without a scale"),
    (set_field(scaled, "quantizedDimension", 7), "scales along axis 7"),
    (set_field(scaled, "detailsType", 1), "quantized in another way"),
    (set_field(scaled, "detailsType", 2), "blocks of no size"),
    (set_field(lambda m: m.signatureDefs[0], "subgraphIndex", 4), "is number 4 of 1"),
    (
        set_field(lambda m: m.signatureDefs[0].inputs[0], "tensorIndex", 9),
        "has an input 'ids' that its graph has not",
    ),
    (set_field(lambda m: m.signatureDefs[0], "outputs", []), "does not name each output"),
    (
        set_field(first_op, "mutatingVariableInputs", [True]),
        "changes what it reads",
    ),
    (set_field(first_op, "largeCustomOptionsOffset", 99), "options outside the flatbuffer"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), CHANGES, ids=[reason for _, reason in CHANGES])
def test_what_does_not_fit(flatbuffer, change, reason):
    with pytest.raises(Damaged) as caught:
        read_model(changed(flatbuffer, change))
    assert reason in str(caught.value)


def test_the_order_of_ops(flatbuffer):
    def swap(model):
        ops = graph(model).operators
        ops[0], ops[-1] = ops[-1], ops[0]

    def twice(model):
        graph(model).operators.append(graph(model).operators[0])

    def from_nowhere(model):
        graph(model).operators.pop()

    def given_twice(model):
        graph(model).inputs = [*graph(model).inputs, graph(model).inputs[0]]

    for change, reason in (
        (swap, "before it is made"), (twice, "which is there before it"),
        (from_nowhere, "is made by no op"), (given_twice, "is a constant or given twice"),
    ):  # fmt: skip
        with pytest.raises(Damaged, match=reason):
            read_model(changed(flatbuffer, change))


def test_references_to_other_files(flatbuffer):
    def refer(model):
        model.externalBuffers = [schema.ExternalBufferT()]

    with pytest.raises(Damaged, match="buffers of other files"):
        read_model(changed(flatbuffer, refer))


@pytest.mark.parametrize(
    ("size", "data", "reason"),
    [
        (1, b"\1\0\0\0\x0c\0\0\0\x0d\0\0\0a", None),
        (2, b"\1\0\0\0\x0c\0\0\0\x0d\0\0\0a", "a constant of 2 strings has 13 bytes"),
        (1, b"\1\0\0\0\x0c\0\0\0\xff\0\0\0a", "strings lie outside it"),
        (1, b"\xff\xff\xff\x7f", "a constant of 1 strings has 4 bytes"),
    ],
)
def test_constants_of_strings(flatbuffer, size, data, reason):
    def add(model):
        tensor = schema.TensorT()
        tensor.type, tensor.shape, tensor.name = schema.TensorType.STRING, [size], b"text"
        tensor.buffer = constant(model, np.frombuffer(data, np.uint8))
        graph(model).tensors.append(tensor)

    if reason is None:
        assert read_model(changed(flatbuffer, add)).graphs[0].tensors[-1].name == "text"
        return
    with pytest.raises(Damaged, match=reason):
        read_model(changed(flatbuffer, add))


def blockwise(scales, size):
    """Gives the first float kernel four bits and scales of blocks."""

    def change(model):
        one = kernel(model)
        one.type = schema.TensorType.INT4
        count = int(np.prod(one.shape))
        one.buffer = constant(model, np.zeros(count // 2, np.uint8))
        held = schema.TensorT()
        held.type, held.shape, held.name = schema.TensorType.FLOAT32, [len(scales)], b"scales"
        held.buffer = constant(model, np.array(scales, "<f4"))
        graph(model).tensors.append(held)
        one.quantization = schema.QuantizationParametersT()
        one.quantization.detailsType = 2
        details = schema.BlockwiseQuantizationT()
        details.scales, details.blockSize = len(graph(model).tensors) - 1, size
        one.quantization.details = details

    return change


def test_scales_of_blocks(floats):
    count = int(np.prod(kernel(schema.ModelT.InitFromObj(schema.Model.GetRootAs(floats))).shape))
    read_model(changed(floats, blockwise([1.0] * (count // 32), 32)))
    for scales, size, reason in (
        ([1.0], 32, "has 1 scales of blocks of 32"),
        ([1.0] * (count // 32), 0, "of blocks of 0"),
        ([np.nan] * (count // 32), 32, "scales of blocks that are not finite"),
    ):
        with pytest.raises(Damaged, match=reason):
            read_model(changed(floats, blockwise(scales, size)))


def test_names_that_are_no_text(flatbuffer):
    with pytest.raises(Damaged, match="is not UTF-8"):
        read_model(changed(flatbuffer, set_field(last_tensor, "name", b"\xff\xfe")))


def test_lists_that_are_too_long(flatbuffer, monkeypatch):
    monkeypatch.setitem(reading._MOST, "ops", 3)
    with pytest.raises(Damaged, match="tables in a list of at most 3"):
        read_model(flatbuffer)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0\0", "it has 2 bytes"),
        (b"\xff\xff\xff\x7fTFL3", "lies outside its 8 bytes"),
        (b"\x08\0\0\0TFL3\x80\0\0\0", "the fields of a table at 8 lie outside"),
        (b"\x08\0\0\0TFL3\x04\0\0\0\xff\xff\x04\0", "a table at 8 is cut short"),
    ],
)
def test_tables_outside(data, reason):
    with pytest.raises(Damaged, match=reason):
        root(data + bytes(0))


def table_with(fields, body):
    """A table of 16-bit offsets by field, with a body behind its own four bytes."""
    vtable = b"".join(one.to_bytes(2, "little") for one in (4 + 2 * len(fields), 4 + len(body)))
    vtable += b"".join(one.to_bytes(2, "little") for one in fields)
    data = vtable + len(vtable).to_bytes(4, "little") + body
    return Table(data, len(vtable))


def test_fields_outside():
    with pytest.raises(Damaged, match="a field of the table at 6 lies outside it"):
        table_with([200], bytes(4)).scalar(0, "int32")
    with pytest.raises(Damaged, match="a list of the table at 6 lies outside"):
        table_with([4], b"\xff\xff\xff\x7f").array(0, "int32")
    with pytest.raises(Damaged, match="a list of 1000 items at 14 is cut short"):
        table_with([4], b"\x04\0\0\0" + (1000).to_bytes(4, "little")).array(0, "int32")
