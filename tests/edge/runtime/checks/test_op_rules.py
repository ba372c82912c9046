"""Ops that do not make what they say of what they read."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.runtime.checks import verify as verifying
from keras_transformer.edge.runtime.checks.op_rules import RULES
from keras_transformer.edge.runtime.checks.verify import verify
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.zoo.errors import InputError
from tests.edge.runtime.checks.changes import (
    NAMES,
    changed,
    constant,
    op_named,
    set_field,
    tensor_of,
)


def set_constant(name, place, values):
    """Gives an op other values in place of a constant."""

    def change(model):
        tensor_of(model, name, place).buffer = constant(model, np.array(values, "<i4"))

    return change


OPS = [
    ("RESHAPE", set_constant("RESHAPE", 1, [-1, -1, 1, 1])),
    ("TRANSPOSE", set_constant("TRANSPOSE", 1, [0, 0, 0, 0])),
    ("TRANSPOSE", set_constant("TRANSPOSE", 1, [9, 1, 2, 3])),
    ("STRIDED_SLICE", set_constant("STRIDED_SLICE", 3, [0, 0, 0])),
    ("STRIDED_SLICE", set_constant("STRIDED_SLICE", 2, [0, 1 << 30, 0])),
    ("STRIDED_SLICE", set_constant("STRIDED_SLICE", 2, [0, 0, 0])),
    ("MEAN", set_constant("MEAN", 1, [17])),
    ("GATHER", set_field(lambda m: op_named(m, "GATHER").builtinOptions, "axis", 5)),
    ("GATHER", set_field(lambda m: op_named(m, "GATHER").builtinOptions, "batchDims", 3)),
    ("FULLY_CONNECTED", set_field(lambda m: op_named(m, "FULLY_CONNECTED"), "inputs", [0])),
    (
        "FULLY_CONNECTED",
        set_field(lambda m: op_named(m, "FULLY_CONNECTED").builtinOptions, "weightsFormat", 1),
    ),
    ("BATCH_MATMUL", set_field(lambda m: op_named(m, "BATCH_MATMUL"), "inputs", [0, 0])),
    ("ADD", set_field(lambda m: op_named(m, "ADD"), "inputs", [0, 0])),
    ("SOFTMAX", set_field(lambda m: op_named(m, "SOFTMAX"), "inputs", [0])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), OPS)
def test_ops_that_make_something_else(flatbuffer, name, change):
    with pytest.raises(InputError, match=f"^a file is damaged: .*an op {name} makes "):
        verify(changed(flatbuffer, change), "a file")


def test_what_takes_too_much(flatbuffer, monkeypatch):
    assert verify(flatbuffer, "a file").is_ruled
    for name, what in (("_MEMORY", "bytes of memory"), ("_WORK", "multiplications")):
        with monkeypatch.context() as patched:
            patched.setattr(verifying, name, -(10**9))
            with pytest.raises(InputError, match=f"a graph takes [0-9]+ {what}, more than"):
                verify(flatbuffer, "a file")


def test_ops_without_a_rule(flatbuffer):
    def rename(model):
        op = op_named(model, "GELU")
        code = model.operatorCodes[op.opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ELU

    assert not verify(changed(flatbuffer, rename), "a file").is_ruled


def test_rules_are_named_as_in_the_schema():
    assert {code: name for code, (name, _) in RULES.items()} == {
        code: NAMES[code] for code in RULES
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gpt", "transformer"])
def test_files_that_generate_are_ruled(written, kind):
    assert verify(unpack(written(kind))[0], kind).is_ruled


@pytest.mark.parametrize(("place", "scale"), [(1, 1e10), (1, 1e-25), ("out", 1e-20)])
def test_scales_that_no_kernel_converts_between(flatbuffer, place, scale):
    """LiteRT frees twice what XNNPACK refuses so late: such a file is tried in a process first."""

    def rescale(model):
        op = op_named(model, "FULLY_CONNECTED", of=schema.TensorType.INT8)
        number = op.outputs[0] if place == "out" else op.inputs[place]
        quantization = model.subgraphs[0].tensors[number].quantization
        scales = np.array(quantization.scale, "float32")
        scales[0] = scale
        quantization.scale = scales

    assert verify(flatbuffer, "a file").is_ruled
    assert not verify(changed(flatbuffer, rescale), "a file").is_ruled
