"""Graph rewrites that remove ops which the converter adds and our models do not need."""

from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.tflite.compact import to_bytes
from keras_transformer.edge.tflite.schema import code_index, op_name
from keras_transformer.edge.tflite.stored_inputs import store_inputs

_SELECTS = ("SELECT", "SELECT_V2")


def rewrite(flatbuffer: bytes) -> bytes:
    """Returns the model without look-ups of negative ids and without values rounded twice.

    - `keras.ops.take` adds a table's length to ids below 0, which ours never are: a LESS, an ADD
      and a SELECT for each look-up, the last of which microcontrollers lack.
    - After a softmax that is stored in 16 bits the converter rounds to 8 bits first.
    - LiteRT takes the bias of a convolution of 16 bits for floats unless the op names its type. It
      is widened to 64 bits, as sums of many products exceed 32.
    - Where a float softmax is reshaped before a float matmul, the converter stores it in between,
      in steps of 1/256.
    - A float sum of values that are all divided by their number, as our norms compute it, is one
      MEAN: the converter would have stored the MEAN of a quantized tensor in 8 bits.
    - Tensors that no op reads or writes any more are dropped: TensorFlow Lite Micro makes room for
      them in its arena.
    - Of its inputs a file of integers computes in float what it could store, see `store_inputs`.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    for number, graph in enumerate(model.subgraphs):
        _Graph(model, graph).rewrite()
        store_inputs(model, graph)
        _drop_tensors(graph, [one for one in model.signatureDefs if one.subgraphIndex == number])
    return to_bytes(model, len(flatbuffer))


def drop_unread_ops(graph: schema.SubGraphT) -> set[int]:
    """Drops the ops whose outputs nothing reads; returns the tensors that are read, by index."""
    while True:
        read = {int(place) for op in graph.operators for place in op.inputs}
        read |= {int(place) for place in graph.outputs}
        kept = [op for op in graph.operators if not read.isdisjoint(map(int, op.outputs))]
        if len(kept) == len(graph.operators):
            return read
        graph.operators = kept


def _drop_tensors(graph: schema.SubGraphT, signatures: Sequence[schema.SignatureDefT]) -> None:
    """Drops the tensors of a graph that nothing refers to, and renumbers the others."""
    owners = [graph, *graph.operators]
    used = {int(place) for one in owners for place in (*one.inputs, *one.outputs)} - {-1}
    places = np.full(len(graph.tensors) + 1, -1, np.int32)  # the last is that of -1
    places[sorted(used)] = np.arange(len(used))
    graph.tensors = [graph.tensors[place] for place in sorted(used)]
    for one in owners:
        one.inputs, one.outputs = places[one.inputs], places[one.outputs]
    for signature in signatures:
        for end in (*signature.inputs, *signature.outputs):
            end.tensorIndex = int(places[end.tensorIndex])


class _Graph:
    def __init__(self, model: schema.ModelT, graph: schema.SubGraphT):
        self.model, self.graph = model, graph
        self.names = {
            id(op): op_name(model.operatorCodes[op.opcodeIndex]) for op in graph.operators
        }
        self.makers = {int(place): op for op in graph.operators for place in op.outputs}

    def rewrite(self) -> None:
        for op in self.graph.operators:
            place = self._wrapped_ids(op)
            if place is not None:
                self._read_instead(lambda _: True, op.outputs[0], place)
            place = self._rounded_before(op)
            if place is not None:
                self._read_instead(lambda reader, op=op: reader is op, op.inputs[0], place)
            if self.names[id(op)] == "CONV_2D":
                self._widen_bias(op)
            place = self._divided_before(op)
            if place is not None:
                op.opcodeIndex = code_index(self.model, "MEAN")
                op.inputs = np.array([place, op.inputs[1]], np.int32)
        for op in list(self.graph.operators):
            reshape = self._reshaped_softmax(op)
            if reshape is not None:
                floats = self._made_by(reshape.inputs[0], "QUANTIZE").inputs[0]
                reshape.inputs = np.array([floats, *reshape.inputs[1:]], np.int32)
                reshape.outputs = op.outputs
                self.graph.operators.remove(op)
        drop_unread_ops(self.graph)

    def _made_by(self, place: int, name: str) -> schema.OperatorT | None:
        op = self.makers.get(int(place))
        return op if op is not None and self.names[id(op)] == name else None

    def _wrapped_ids(self, op: schema.OperatorT) -> int | None:
        """The index of the ids that `where(ids < 0, ids + V, ids)` selects from."""
        if self.names[id(op)] not in _SELECTS:
            return None
        ids = op.inputs[2]
        parts = self._made_by(op.inputs[0], "LESS"), self._made_by(op.inputs[1], "ADD")
        return ids if all(part is not None and part.inputs[0] == ids for part in parts) else None

    def _rounded_before(self, op: schema.OperatorT) -> int | None:
        """The index of the floats that a QUANTIZE rounds a second time."""
        if self.names[id(op)] != "QUANTIZE":
            return None
        first = self._made_by(op.inputs[0], "QUANTIZE")
        if first is None:
            return None
        place = first.inputs[0]
        is_float = self.graph.tensors[place].type == schema.TensorType.FLOAT32
        wider = self.graph.tensors[op.outputs[0]].type == schema.TensorType.INT16
        return place if is_float and wider else None

    def _reshaped_softmax(self, op: schema.OperatorT) -> schema.OperatorT | None:
        """The RESHAPE between a float softmax and a DEQUANTIZE, if nothing else reads it."""
        if self.names[id(op)] != "DEQUANTIZE":
            return None
        reshape = self._made_by(op.inputs[0], "RESHAPE")
        rounded = reshape and self._made_by(reshape.inputs[0], "QUANTIZE")
        if rounded is None or self._made_by(rounded.inputs[0], "SOFTMAX") is None:
            return None
        readers = [one for one in self.graph.operators if op.inputs[0] in one.inputs]
        return reshape if readers == [op] and op.inputs[0] not in self.graph.outputs else None

    def _divided_before(self, op: schema.OperatorT) -> int | None:
        """The index of the floats whose mean a SUM is, of what a MUL divides by their number."""
        division = self._made_by(op.inputs[0], "MUL") if self.names[id(op)] == "SUM" else None
        if division is None:
            return None
        values, share = (self.graph.tensors[place] for place in division.inputs)
        if {values.type, share.type} != {schema.TensorType.FLOAT32}:
            return None
        axes = self._constant(self.graph.tensors[op.inputs[1]], np.int32)
        factor = self._constant(share, np.float32)
        if axes is None or factor is None or factor.size != 1:
            return None
        number = np.prod([values.shape[axis] for axis in axes], dtype=np.float64)
        # The nearest float32 of 1 / number, or its neighbour.
        is_share = abs(float(factor[0]) * number - 1.0) <= np.finfo(np.float32).eps
        return int(division.inputs[0]) if is_share else None

    def _constant(self, tensor: schema.TensorT, dtype: type) -> np.ndarray | None:
        """The values of a constant as a vector; None of a tensor that an op makes."""
        data = self.model.buffers[tensor.buffer].data
        return None if data is None else np.asarray(data, np.uint8).view(dtype)

    def _widen_bias(self, op: schema.OperatorT) -> None:
        types, tensors = schema.TensorType, self.graph.tensors
        if tensors[op.inputs[0]].type != types.INT16 or len(op.inputs) < 3:
            return
        bias = tensors[op.inputs[2]]
        op.builtinOptions.quantizedBiasType = types.INT64
        if bias.type == types.INT32:
            data = np.asarray(self.model.buffers[bias.buffer].data, np.uint8).view(np.int32)
            buffer = schema.BufferT()
            buffer.data = data.astype(np.int64).view(np.uint8)
            bias.type, bias.buffer = types.INT64, len(self.model.buffers)
            self.model.buffers.append(buffer)

    def _read_instead(self, reads: Callable, old: int, new: int) -> None:
        for reader in self.graph.operators:
            if reads(reader):
                reader.inputs = np.where(reader.inputs == old, new, reader.inputs)
