"""Queries of a TFLite flatbuffer: its ops, the types of its kernels, the step of its output.

The codes of ops are added here, too.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.runtime.names import DECODE, EMBEDDING, LOGITS, PREDICT, PROBABILITIES
from keras_transformer.zoo.errors import RunError

_OP_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
TYPE_NAMES = {value: name for name, value in vars(schema.TensorType).items() if name.isupper()}
# An op's code is in the old field of 8 bits too, up to this placeholder.
_PLACEHOLDER = 127
# Ops that multiply by a kernel -> index of the kernel among their inputs.
_KERNEL_INPUT = {"FULLY_CONNECTED": 1, "CONV_2D": 1, "BATCH_MATMUL": 1}
_CUSTOM = ("CUSTOM",)
# Ops that write into a cache, or transpose it.
_MOVES = ("DYNAMIC_UPDATE_SLICE", "TRANSPOSE", "RESHAPE")
# The last ops of a graph that ends with `static.probabilities`.
_SOFTMAX = ("SOFTMAX", "ADD")
# Signature -> possible names of its main output.
_DECIDING = {PREDICT: (LOGITS, PROBABILITIES, EMBEDDING), DECODE: ("logits",)}


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A constant that a matmul multiplies by.

    Attributes:
        name: name of the tensor in the file.
        type: TFLite type, such as `INT8`.
        shape: shape as stored, output channels first.
        buffer: index of the buffer with its values; ops may share it.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    buffer: int


def _model(flatbuffer: bytes) -> schema.Model:
    return schema.Model.GetRootAs(flatbuffer, 0)


def op_name(code: schema.OperatorCodeT) -> str:
    """Returns the name of a builtin op by its code."""
    return _OP_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]


def code_index(model: schema.ModelT, name: str, version: int = 1) -> int:
    """Returns the index of an op's code of a version or a later one, which is added if missing."""
    for index, code in enumerate(model.operatorCodes):
        if op_name(code) == name and code.version >= version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, _PLACEHOLDER)
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _operators(model):
    """Yields subgraph, op and the op's name."""
    for s in range(model.SubgraphsLength()):
        graph = model.Subgraphs(s)
        for i in range(graph.OperatorsLength()):
            op = graph.Operators(i)
            code = model.OperatorCodes(op.OpcodeIndex())
            # Old writers fill only the deprecated 8-bit field.
            name = _OP_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            yield graph, op, code.CustomCode().decode() if name in _CUSTOM else name


def count_ops(flatbuffer: bytes) -> Counter:
    """Returns the count of each op; custom and Flex ops are listed under their own name."""
    return Counter(name for _, _, name in _operators(_model(flatbuffer)))


def kernels(flatbuffer: bytes) -> list[Kernel]:
    """Returns the constants that matmuls multiply by, looking through their dequantization."""
    model = _model(flatbuffer)
    produced = {}
    found = []
    for graph, op, name in _operators(model):
        if name == "DEQUANTIZE":
            produced[graph._tab.Pos, op.Outputs(0)] = op.Inputs(0)
        if name not in _KERNEL_INPUT:
            continue
        place = op.Inputs(_KERNEL_INPUT[name])
        # A float16 file stores its kernels in float16, each followed by a DEQUANTIZE.
        tensor = graph.Tensors(produced.get((graph._tab.Pos, place), place))
        if model.Buffers(tensor.Buffer()).DataLength():
            shape = tuple(tensor.ShapeAsNumpy().tolist())
            kind = TYPE_NAMES[tensor.Type()]
            found.append(Kernel(tensor.Name().decode(), kind, shape, tensor.Buffer()))
    return found


def find_op(flatbuffer: bytes, wanted: str) -> str:
    """Returns the converter's name of the first output of an op with that name."""
    found = (
        graph.Tensors(op.Outputs(0)).Name().decode()
        for graph, op, name in _operators(_model(flatbuffer))
        if name == wanted
    )
    return next(found)


def check_ops(flatbuffer: bytes, custom: Collection[str] = ()) -> None:
    """Checks that every op is a TFLite builtin, or one of the host's own.

    Raises:
        RunError: if there are others; the message names them and the converter's names of their
            outputs.
    """
    foreign = sorted(count_ops(flatbuffer).keys() - set(_OP_NAMES.values()) - set(custom))
    if foreign:
        named = ", ".join(f"{name} of {find_op(flatbuffer, name)}" for name in foreign)
        raise RunError(f"Expected TFLite builtins only, got {named}.")


def check_kernels(
    flatbuffer: bytes,
    kernel_type: str,
    others: Mapping[tuple[str, tuple[int, ...]], int] = MappingProxyType({}),
) -> None:
    """Checks that every matmul kernel is stored in the given type.

    Args:
        flatbuffer: the file.
        kernel_type: the type.
        others: number of kernels that may be stored in another type, by type and shape.

    Raises:
        RunError: if a kernel is stored in another type, or there is none.
    """
    found = kernels(flatbuffer)
    if not found:
        raise RunError("Expected matmul kernels in the file, found none.")
    left = Counter(others)
    for kernel in {kernel.buffer: kernel for kernel in found}.values():
        left[kernel.type, kernel.shape] -= 1
        if kernel.type != kernel_type and left[kernel.type, kernel.shape] < 0:
            raise RunError(
                f"Expected every matmul kernel to be stored as {kernel_type}, got {kernel.type} "
                f"for {kernel.name} of shape {kernel.shape}."
            )


def check_integers(flatbuffer: bytes) -> None:
    """Checks that a file computes with integers only, and uses floats only at its ends.

    The caches of a generative file are inputs and outputs, so ops may move their floats.

    Raises:
        RunError: if an op computes with floats; the message names it.
    """
    for graph, op, name in _operators(_model(flatbuffer)):
        if name in _MOVES:
            continue
        read = () if name == "QUANTIZE" else op.InputsAsNumpy()
        given = () if name == "DEQUANTIZE" else op.OutputsAsNumpy()
        places = [int(place) for place in (*read, *given) if place >= 0]
        if any(TYPE_NAMES[graph.Tensors(place).Type()].startswith("FLOAT") for place in places):
            raise RunError(f"Expected ops of integers alone, got a {name} of floats.")


def output_step(flatbuffer: bytes) -> float | None:
    """Returns the scale of the last integer tensor before the output, or None in a float file.

    The output is that of `predict`, before a softmax that ends it, or the logits of `decode`. The
    scale is multiplied by the constants that the output is, see `units.in_units`.
    """
    model = _model(flatbuffer)
    place, output = _deciding_output(model)
    graph = model.Subgraphs(place)
    ops = [(op, name) for owner, op, name in _operators(model) if owner._tab.Pos == graph._tab.Pos]
    factor = 1.0
    for op, name in reversed(ops):
        if op.Outputs(0) != output:
            continue
        constant = _constant(model, graph, op.Inputs(1)) if name == "MUL" else None
        if name in _SOFTMAX or constant is not None:
            factor *= constant or 1.0
            output = op.Inputs(0)
    for op, name in ops:
        if name != "DEQUANTIZE" or op.Outputs(0) != output:
            continue
        quantization = graph.Tensors(op.Inputs(0)).Quantization()
        scale = quantization.ScaleAsNumpy() if quantization is not None else None
        if isinstance(scale, np.ndarray) and scale.size == 1:
            return factor * float(scale[0])
    return None


def _constant(model: schema.Model, graph: schema.SubGraph, place: int) -> float | None:
    """The value of a constant of one float32, or None."""
    tensor = graph.Tensors(place)
    data = model.Buffers(tensor.Buffer()).DataAsNumpy()
    is_one = isinstance(data, np.ndarray) and data.size == 4
    if not is_one or TYPE_NAMES[tensor.Type()] != "FLOAT32":
        return None
    return float(np.frombuffer(data.tobytes(), np.float32)[0])


def _deciding_output(model: schema.Model) -> tuple[int, int]:
    """Subgraph and tensor of the main output."""
    for s in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(s)
        names = _DECIDING.get(signature.SignatureKey().decode(), ())
        for i in range(signature.OutputsLength()):
            if signature.Outputs(i).Name().decode() in names:
                return signature.SubgraphIndex(), signature.Outputs(i).TensorIndex()
    return 0, model.Subgraphs(0).Outputs(0)
