import re
from collections import Counter

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.tflite.schema import (
    Kernel,
    check_integers,
    check_kernels,
    check_ops,
    count_ops,
    kernels,
    output_step,
)
from keras_transformer.zoo.errors import RunError

KERNEL_TYPES = {
    "float32": {"FLOAT32"},
    "float16": {"FLOAT16"},
    "dynamic_int8": {"INT8"},
    "int8": {"INT8"},
}
# Per block query, key, value, output, up and down; the pooler and the head.
SHAPES = 2 * (4 * [(32, 32)] + [(64, 32), (32, 64)]) + [(32, 32), (3, 32)]
SHAPES.sort()


def flatbuffer_of(path):
    return unpack(path)[0]


@pytest.mark.parametrize("precision", KERNEL_TYPES)
def test_kernels_are_found_with_their_type(files, precision):
    found = kernels(flatbuffer_of(files[precision]))
    assert sorted(kernel.shape for kernel in found) == SHAPES
    assert {kernel.type for kernel in found} == KERNEL_TYPES[precision]


def test_ops_are_counted(files):
    counts = {name: count_ops(flatbuffer_of(path)) for name, path in files.items()}
    assert {c["FULLY_CONNECTED"] for c in counts.values()} == {14}
    assert {c["BATCH_MATMUL"] for c in counts.values()} == {4}
    assert {c["SOFTMAX"] for c in counts.values()} == {2}
    for path in files.values():
        check_ops(flatbuffer_of(path))


def test_a_custom_op_is_named():
    graph, op, tensor = schema.SubGraphT(), schema.OperatorT(), schema.TensorT()
    tensor.name = "encoder/block_0/strided_slice"
    op.outputs = [0]
    graph.operators, graph.tensors = [op], [tensor]
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = "FlexStridedSlice"
    model = schema.ModelT()
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    flatbuffer = bytes(builder.Output())
    with pytest.raises(RunError) as caught:
        check_ops(flatbuffer)
    assert str(caught.value) == (
        "Expected TFLite builtins only, got FlexStridedSlice of encoder/block_0/strided_slice."
    )
    check_ops(flatbuffer, ["FlexStridedSlice"])
    with pytest.raises(RunError) as caught:
        check_kernels(flatbuffer, "INT8")
    assert str(caught.value) == "Expected matmul kernels in the file, found none."


def test_a_wide_kernel_is_named(files):
    flatbuffer = flatbuffer_of(files["dynamic_int8"])
    check_kernels(flatbuffer, "INT8")
    [head] = [kernel for kernel in kernels(flatbuffer) if kernel.shape == (3, 32)]
    assert head == Kernel(head.name, "INT8", (3, 32), head.buffer)
    check_kernels(flatbuffer, "INT4", Counter(("INT8", k.shape) for k in kernels(flatbuffer)))
    others = Counter(("INT8", k.shape) for k in kernels(flatbuffer) if k is not head)
    others["INT8", head.shape] = 0
    with pytest.raises(RunError) as caught:
        check_kernels(flatbuffer, "INT4", others)
    assert str(caught.value) == (
        "Expected every matmul kernel to be stored as INT4, got INT8 "
        f"for {head.name} of shape (3, 32)."
    )


def test_floats_inside_a_file_of_integers_are_named(files):
    with pytest.raises(RunError) as caught:
        check_integers(flatbuffer_of(files["int8"]))
    message = r"Expected ops of integers alone, got a [A-Z_]+ of floats\."
    assert re.fullmatch(message, str(caught.value))


def test_the_output_step_is_the_last_points(runs, files):
    point = runs.quantized.model.get_layer("head_point")
    step = (float(point.range_max) - float(point.range_min)) / 255
    assert output_step(flatbuffer_of(files["int8"])) == pytest.approx(step, rel=1e-5)
    assert output_step(flatbuffer_of(files["float32"])) is None
