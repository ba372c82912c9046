"""The end of a file that gives numbers in the units of the targets, or vectors of length 1.

Appended to the finished graph: before conversion, a converter multiplies it into the head, whose
bias a float16 file then cannot hold, or stores the sum in 256 steps from zero to the mean. Vectors
of length 1 it would store in 256 steps from -1 to 1, of which most elements use a few.
"""

import re

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.runtime.names import EMBEDDING, LOGITS
from keras_transformer.edge.tflite.compact import to_bytes
from keras_transformer.edge.tflite.schema import code_index
from keras_transformer.zoo.models.heads import Head, Heads


def in_units(flatbuffer: bytes, head: Head | Heads) -> bytes:
    """Returns the file with the last layer of each head appended, in float32.

    Its output is multiplied by a deviation and added to a mean, or divided by its length.

    Args:
        flatbuffer: whose output is standardized.
        head: of the model, or its heads.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    for signature in model.signatureDefs:
        for output in signature.outputs:
            one = _head_of(head, signature.signatureKey.decode(), output.name.decode())
            if one is not None and not one.is_standard:
                graph = model.subgraphs[signature.subgraphIndex]
                append = _of_unit_length if one.normalize else _appended
                output.tensorIndex = append(model, graph, output.tensorIndex, one)
    return to_bytes(model, len(flatbuffer))


def _head_of(head: Head | Heads, signature: str, output: str) -> Head | None:
    """The head whose output this is; None where it is of none."""
    if isinstance(head, Heads):
        if output in head.heads:
            return head.heads[output]
        if output != LOGITS:
            return None
        return next(
            one for name, one in head.heads.items()
            if re.fullmatch(rf"{name}(_\d+)?", signature)
        )  # fmt: skip
    names = (LOGITS, EMBEDDING) if head.normalize else (LOGITS,)
    return head if output in names else None


def _of_unit_length(model: schema.ModelT, graph: schema.SubGraphT, place: int, head: Head) -> int:
    """The place of the output of length 1; the vector as it was gives it its name."""
    vector = graph.tensors[place]
    operator = schema.OperatorT()
    operator.opcodeIndex = code_index(model, "L2_NORMALIZATION")
    operator.builtinOptionsType = schema.BuiltinOptions.L2NormOptions
    operator.builtinOptions = schema.L2NormOptionsT()
    operator.inputs = np.array([place], np.int32)
    result = _tensor(graph, vector.name, vector.shape)
    result.shapeSignature = vector.shapeSignature
    vector.name += b"_vector"
    product = len(graph.tensors) - 1
    operator.outputs = np.array([product], np.int32)
    graph.operators.append(operator)
    graph.outputs = np.where(graph.outputs == place, product, graph.outputs).astype(np.int32)
    return product


def _appended(model: schema.ModelT, graph: schema.SubGraphT, place: int, head: Head) -> int:
    """The place of the output in units; the standardized one gives it its name."""
    standardized = graph.tensors[place]
    name, product = standardized.name, place
    for op, value in (("MUL", head.deviation), ("ADD", head.mean)):
        constant = _tensor(graph, name + f"_{op.lower()}".encode(), np.array([1], np.int32))
        constant.buffer = len(model.buffers)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.float32(value).tobytes(), np.uint8)
        model.buffers.append(buffer)
        operator = schema.OperatorT()
        operator.opcodeIndex = code_index(model, op)
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{op.title()}Options")
        operator.builtinOptions = getattr(schema, f"{op.title()}OptionsT")()
        operator.inputs = np.array([product, len(graph.tensors) - 1], np.int32)
        result = _tensor(graph, name, standardized.shape)
        result.shapeSignature = standardized.shapeSignature
        product = len(graph.tensors) - 1
        operator.outputs = np.array([product], np.int32)
        graph.operators.append(operator)
    for suffix, tensor in ((b"_standardized", standardized), (b"_product", graph.tensors[-3])):
        tensor.name = name + suffix
    graph.outputs = np.where(graph.outputs == place, product, graph.outputs).astype(np.int32)
    return product


def _tensor(graph: schema.SubGraphT, name: bytes, shape: np.ndarray) -> schema.TensorT:
    """A float32 tensor, added to a graph."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name, shape
    tensor.type, tensor.buffer = schema.TensorType.FLOAT32, 0
    graph.tensors.append(tensor)
    return tensor
