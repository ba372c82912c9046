"""Graphs that are whole as a flatbuffer, and wrong as a model: fields of its tables changed."""

import random

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_SIZES = (0, 1, 2, 3, 7, 8, 16, 64, 1000, 1 << 20, 1 << 30)
_SCALES = (0.0, -1.0, 1e-45, 1e-20, 1e-3, 1.0, 1e10, 3e38, float("nan"), float("inf"))


def damaged_model(flatbuffer: bytes, rng: random.Random) -> bytes:
    """Returns a flatbuffer with up to three fields of its tables changed."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(_CHANGES)(model, rng.choice(model.subgraphs), rng)
    builder = flatbuffers.Builder(2 * len(flatbuffer))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _listed(values):
    return [int(one) for one in values] if values is not None else []


def _inputs(model, graph, rng):
    op = rng.choice(graph.operators)
    name = rng.choice(("inputs", "inputs", "inputs", "outputs"))
    values = _listed(getattr(op, name))
    action = rng.randrange(4)
    if action == 0 and values:
        values.pop(rng.randrange(len(values)))
    elif action == 1:
        values.append(rng.randrange(len(graph.tensors)))
    elif action == 2:
        rng.shuffle(values)
    elif values:
        values[rng.randrange(len(values))] = rng.choice(
            (-1, rng.randrange(len(graph.tensors)), len(graph.tensors))
        )
    setattr(op, name, values)


def _options(model, graph, rng):
    op = rng.choice([one for one in graph.operators if one.builtinOptions is not None])
    fields = [name for name, one in vars(op.builtinOptions).items() if isinstance(one, int)]
    if fields:
        name = rng.choice(fields)
        before = getattr(op.builtinOptions, name)
        value = bool(rng.randrange(2)) if isinstance(before, bool) else rng.randint(-5, 10)
        setattr(op.builtinOptions, name, value)


def _code(model, graph, rng):
    if rng.random() < 0.5:
        rng.choice(graph.operators).opcodeIndex = rng.randrange(len(model.operatorCodes))
        return
    code = rng.choice(model.operatorCodes)
    if rng.random() < 0.3:
        code.version = rng.randrange(12)
    else:
        code.builtinCode = rng.randrange(160)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)


def _type(model, graph, rng):
    rng.choice(graph.tensors).type = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 15, 17, 18))


def _shape(model, graph, rng):
    tensor = rng.choice(graph.tensors)
    shape = _listed(tensor.shape)
    action = rng.randrange(4)
    if action == 0 and shape:
        shape.pop()
    elif action == 1:
        shape.append(rng.choice(_SIZES))
    elif action == 2:
        rng.shuffle(shape)
    elif shape:
        shape[rng.randrange(len(shape))] = rng.choice(_SIZES)
    tensor.shape = shape
    tensor.shapeSignature = None


def _quantization(model, graph, rng):
    tensor = rng.choice(graph.tensors)
    found = tensor.quantization
    if found is None or found.scale is None or not len(found.scale):
        found = tensor.quantization = schema.QuantizationParametersT()
        found.scale, found.zeroPoint = [0.1], [0]
    scales = np.array(found.scale, "float32")
    scales[rng.randrange(len(scales))] = rng.choice(_SCALES)
    found.scale = scales
    if rng.random() < 0.3:
        found.zeroPoint = [rng.choice((-129, -128, 0, 127, 128, 1 << 40))] * len(scales)
    if rng.random() < 0.2:
        found.quantizedDimension = rng.randrange(4)


def _constant(model, graph, rng):
    """Another value in a constant of integers: a shape, an axis, a place."""
    places = [
        one.buffer for one in graph.tensors
        if one.type == schema.TensorType.INT32 and model.buffers[one.buffer].data is not None
        and len(model.buffers[one.buffer].data)
    ]  # fmt: skip
    if places:
        buffer = model.buffers[rng.choice(places)]
        values = np.array(buffer.data, "uint8").view("<i4")
        values[rng.randrange(len(values))] = rng.choice((-(1 << 31), -5, -1, *_SIZES))
        buffer.data = values.view("uint8")


def _buffer(model, graph, rng):
    rng.choice(graph.tensors).buffer = rng.randrange(len(model.buffers))


def _ends(model, graph, rng):
    signature = rng.choice(model.signatureDefs)
    end = rng.choice([*signature.inputs, *signature.outputs])
    end.tensorIndex = rng.randrange(len(graph.tensors))


def _order(model, graph, rng):
    ops = graph.operators
    first, second = rng.randrange(len(ops)), rng.randrange(len(ops))
    ops[first], ops[second] = ops[second], ops[first]


_CHANGES = (
    _inputs, _inputs, _options, _options, _code, _type, _shape, _shape, _quantization,
    _quantization, _constant, _constant, _buffer, _ends, _order,
)  # fmt: skip
