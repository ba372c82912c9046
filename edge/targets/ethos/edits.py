"""Edits of a file's one graph: its constants, who makes and who reads a tensor, new tensors."""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.tflite.compact import to_bytes
from keras_transformer.edge.tflite.rewrite import drop_unread_ops
from keras_transformer.edge.tflite.schema import code_index, op_name

TYPES = schema.TensorType
_NUMPY = {TYPES.INT8: np.int8, TYPES.INT32: np.int32, TYPES.FLOAT32: np.float32}


class Edited:
    """A graph that is edited in place.

    Args:
        flatbuffer: a TFLite model of one graph.
    """

    def __init__(self, flatbuffer: bytes):
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
        [self.graph] = self.model.subgraphs
        self._size = len(flatbuffer)

    def __bytes__(self) -> bytes:
        return to_bytes(self.model, self._size)

    def name(self, op: schema.OperatorT) -> str:
        """Returns the name of an op."""
        return op_name(self.model.operatorCodes[op.opcodeIndex])

    def ops(self, name: str) -> list[schema.OperatorT]:
        """Returns the ops of a name."""
        return [op for op in self.graph.operators if self.name(op) == name]

    def tensor(self, place: int) -> schema.TensorT:
        """Returns a tensor by its index."""
        return self.graph.tensors[int(place)]

    def shape(self, place: int) -> list[int]:
        """Returns the shape of a tensor."""
        shape = self.tensor(place).shape
        return [] if shape is None else [int(size) for size in shape]

    def maker(self, place: int) -> schema.OperatorT | None:
        """Returns the op whose output a tensor is, if any."""
        found = [op for op in self.graph.operators if place in op.outputs]
        return found[0] if found else None

    def readers(self, place: int) -> list[schema.OperatorT]:
        """Returns the ops that read a tensor."""
        return [op for op in self.graph.operators if place in op.inputs]

    def constant(self, place: int) -> np.ndarray | None:
        """Returns the values of a constant as they are stored, or None of another tensor."""
        tensor = self.tensor(place)
        data = self.model.buffers[tensor.buffer].data
        if data is None:
            return None
        kind = _NUMPY.get(tensor.type)
        if kind is None:
            return None
        return np.asarray(data, np.uint8).view(kind).reshape(self.shape(place))

    def grid(self, place: int) -> tuple[float, int]:
        """Returns the scale and the zero point of a tensor of 8 bits."""
        quantization = self.tensor(place).quantization
        [scale], [zero] = quantization.scale, quantization.zeroPoint
        return float(scale), int(zero)

    def add(
        self, name: str, shape: Sequence[int], kind: int, *, scale: float, values: np.ndarray
    ) -> int:
        """Adds a constant, and returns its index.

        Args:
            name: its name.
            shape: its shape.
            kind: its TFLite type.
            scale: of its integers, with the zero point 0.
            values: what it holds.
        """
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), np.array(shape, np.int32), kind
        tensor.hasRank = True  # a shape without it may be of any rank
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.array([scale], np.float32)
        tensor.quantization.zeroPoint = np.zeros(1, np.int64)
        buffer = schema.BufferT()
        buffer.data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        tensor.buffer = len(self.model.buffers)
        self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def becomes(
        self, op: schema.OperatorT, name: str, inputs: Sequence[int], options: object,
        kind: int, *, version: int = 1,
    ) -> None:  # fmt: skip
        """Makes another op of one, with the same outputs.

        Args:
            op: the op.
            name, inputs: of the other.
            options: its options, an object of the schema.
            kind: their type, of `BuiltinOptions`.
            version: of its kernel.
        """
        op.opcodeIndex = code_index(self.model, name, version)
        op.inputs = np.array(inputs, np.int32)
        op.builtinOptions, op.builtinOptionsType = options, kind

    def read_instead(self, old: int, new: int) -> None:
        """Makes all readers of a tensor, and the outputs, refer to another."""
        for reader in self.graph.operators:
            reader.inputs = np.where(reader.inputs == old, new, reader.inputs).astype(np.int32)
        outputs = self.graph.outputs
        self.graph.outputs = np.where(outputs == old, new, outputs).astype(np.int32)
        for signature in self.model.signatureDefs:
            for end in signature.outputs:
                end.tensorIndex = new if end.tensorIndex == old else end.tensorIndex

    def remove(self, op: schema.OperatorT) -> None:
        """Removes an op."""
        self.graph.operators = [one for one in self.graph.operators if one is not op]

    def read_from_host(self, place: int, name: str) -> None:
        """Makes an input of the graph of a tensor that no op makes any more."""
        self.tensor(place).name = name.encode()
        self.graph.inputs = np.append(self.graph.inputs, np.int32(place))
        for signature in self.model.signatureDefs:
            end = schema.TensorMapT()
            end.name, end.tensorIndex = name.encode(), place
            signature.inputs.append(end)

    def drop_unread(self) -> None:
        """Drops what nothing reads: ops, then inputs, then the tensors of neither."""
        read = drop_unread_ops(self.graph)
        self.graph.inputs = np.array(
            [place for place in self.graph.inputs if int(place) in read], np.int32
        )
        for signature in self.model.signatureDefs:
            signature.inputs = [one for one in signature.inputs if one.tensorIndex in read]
