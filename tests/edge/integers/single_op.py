"""Files of one integer op, and their runs."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from keras_transformer.edge.tflite.compact import to_bytes

TYPES = schema.TensorType
BUILTIN = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def _tensor(model, graph, name, shape, grid, dtype=TYPES.INT8, data=None, scales=None):
    tensor, buffer = schema.TensorT(), schema.BufferT()
    tensor.name, tensor.shape, tensor.type = name.encode(), np.array(shape, np.int32), dtype
    tensor.buffer = len(model.buffers)
    if data is not None:
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
    model.buffers.append(buffer)
    if grid is not None or scales is not None:
        tensor.quantization = schema.QuantizationParametersT()
        scales = [grid.scale] if scales is None else scales
        tensor.quantization.scale = np.asarray(scales, np.float32)
        zeros = [grid.zero] if grid is not None else [0] * len(scales)
        tensor.quantization.zeroPoint = np.asarray(zeros, np.int64)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def single_op(name, inputs, out, shape, *, constants=(), options=None, version=2):
    """The bytes of a file of one op.

    Args:
        name: name of the op.
        inputs: shape and grid of each tensor that is given when it runs.
        out, shape: grid and shape of the output.
        constants: arguments of `_tensor` of each tensor after those, by name, in dicts.
        options: pair of the name of the op's options and their values by name.
        version: of the op.
    """
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, b"one op"
    model.buffers, graph.tensors, graph.name = [schema.BufferT()], [], b"main"
    given = [
        _tensor(model, graph, f"x{n}", size, grid) for n, (size, grid) in enumerate(inputs)
    ]
    fixed = [
        _tensor(model, graph, f"c{n}", **{"grid": None, **constant})
        for n, constant in enumerate(constants)
    ]
    place = _tensor(model, graph, "y", shape, out)
    code, op = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
    op.opcodeIndex, op.inputs = 0, np.array(given + fixed, np.int32)
    op.outputs = np.array([place], np.int32)
    if options is not None:
        kind, values = options
        op.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        op.builtinOptions = getattr(schema, f"{kind}T")()
        vars(op.builtinOptions).update(values)
    graph.inputs, graph.outputs = np.array(given, np.int32), np.array([place], np.int32)
    graph.operators, model.subgraphs, model.operatorCodes = [op], [graph], [code]
    return to_bytes(model, 1 << 12)


def run(data, *inputs, builtin=False):
    """The output (int32) of a file of one op."""
    kind = {"experimental_op_resolver_type": BUILTIN} if builtin else {}
    interpreter = Interpreter(model_content=data, **kind)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], values.astype(np.int8))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).astype(np.int32)
