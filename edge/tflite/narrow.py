"""Narrowing of a float file: kernels are stored as integers, activations stay float.

The kernels are already on their grid, so nothing is rounded here: each is stored as the integers
and scales that it was computed from. A runtime rounds the inputs of a matmul dynamically, row by
row (TensorFlow Lite's dynamic range quantization).
"""

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.decisions import WIDE_BITS
from keras_transformer.edge.tflite.compact import to_bytes
from keras_transformer.edge.tflite.marks import Constants, Mark
from keras_transformer.edge.tflite.schema import TYPE_NAMES, code_index, op_name
from keras_transformer.edge.tflite.stored import StoredKernels, integers_of, packed, step_of
from keras_transformer.embeddings import TABLE_BITS
from keras_transformer.rounding import SMALLEST_BLOCK_SCALE
from keras_transformer.zoo.errors import RunError

# Ops whose second input is a kernel, outputs first.
_MATMULS = ("FULLY_CONNECTED", "CONV_2D")


def with_weights(
    flatbuffer: bytes, marks: Sequence[Mark], weight: Callable[[str], np.ndarray],
    stored: StoredKernels | None,
) -> bytes:  # fmt: skip
    """Returns a float32 file with weights in place of marks.

    Args:
        flatbuffer: the file with marks.
        marks: the marks.
        weight: function that returns a weight by its path, on its grid.
        stored: how matmul kernels and token tables are stored as integers; None if they stay float.

    Raises:
        RunError: if a mark is not found, or a kernel is not on a grid, and is not one of those that
            stay float.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    constants = Constants(model, marks, weight)
    if stored is not None:
        _Narrowing(model, stored, constants).run()
    constants.fill()
    return to_bytes(model, len(flatbuffer))


class _Narrowing:
    def __init__(self, model: schema.ModelT, stored: StoredKernels, constants: Constants):
        self.model = model
        self.stored = stored
        self.constants = constants
        self.buffers: dict[bytes, int] = {}
        # Buffer of the integers, scales and type, by that of the floats: signatures share kernels.
        self.narrowed: dict[int, tuple | None] = {}

    def run(self):
        for graph in self.model.subgraphs:
            for op in list(graph.operators):
                name = op_name(self.model.operatorCodes[op.opcodeIndex])
                if name == "GATHER" and self._reads_floats(graph, op):
                    self._narrow_look_up(graph, op)
                elif name in _MATMULS and self._is_float_constant(graph, op.inputs[1]):
                    is_like_table = self._shape(graph, op.inputs[1]) in self.stored.tables
                    # A kernel, or a constant of a spectrogram, may have the shape of a table.
                    if not (is_like_table and self._narrow_table(graph, op.inputs[1])):
                        self._narrow_kernel(graph, op.inputs[1])
                if name == "FULLY_CONNECTED" and self._is_narrow(graph, op.inputs[1]):
                    # XNNPACK always rounds a row of inputs asymmetrically; the runtime's own int8
                    # kernels do so if the op asks for it; a convolution cannot, and always has it.
                    op.builtinOptions.asymmetricQuantizeInputs = True

    def _shape(self, graph, place):
        shape = graph.tensors[place].shape
        return () if shape is None else tuple(int(size) for size in shape)

    def _is_float_constant(self, graph, place):
        tensor = graph.tensors[place]
        return TYPE_NAMES[tensor.type] == "FLOAT32" and self.constants.is_constant(tensor)

    def _reads_floats(self, graph, op):
        """Whether a look-up in a table that is to be narrow gives floats."""
        is_float = TYPE_NAMES[graph.tensors[op.outputs[0]].type] == "FLOAT32"
        return is_float and self._shape(graph, op.inputs[0]) in self.stored.tables

    def _is_narrow(self, graph, place):
        return TYPE_NAMES[graph.tensors[place].type] in ("INT8", "INT4")

    def _narrow_table(self, graph, place):
        """Stores a table as integers; False if it has the shape of one and is not on its grid."""
        tensor = graph.tensors[place]
        if not self._is_float_constant(graph, place):  # shared with another op, already narrowed
            return True
        if tensor.buffer not in self.narrowed:
            found = self._narrowed_table(graph, place)
            if found is None:
                return False
            self.narrowed[tensor.buffer] = found
        narrowed = self.narrowed[tensor.buffer]
        if narrowed is not None:
            self._store(graph, tensor, *narrowed)
        return narrowed is not None

    def _narrowed_table(self, graph, place):
        """The buffer of a table's integers, their scales, one for each row, and type, or None."""
        values = self.constants.values(graph.tensors[place])
        scale = step_of(np.abs(values).max(-1, keepdims=True), TABLE_BITS)
        integers = integers_of(values, scale)
        if integers is None:
            return None
        return self._buffer(integers.tobytes()), scale.reshape(-1), "INT8"

    def _narrow_look_up(self, graph, op):
        """Makes a look-up take rows of integers, and of scales that multiply them.

        The look-up of a table with a scale for each row is not an op of all runtimes, so the
        integers are looked up with a scale of 1.
        """
        place, floats = op.inputs[0], graph.tensors[op.outputs[0]]
        table = graph.tensors[place]
        if not self._narrow_table(graph, place):
            raise RunError(
                f"Expected each row of the table {self._name(graph, place)} to lie on a grid."
            )
        scales = np.asarray(table.quantization.scale, np.float32)
        integers = copy.copy(table)
        integers.name = table.name + b"_integers"
        self._store(graph, integers, table.buffer, np.ones(1), "INT8")
        readers = sum(int(place) in one.inputs for one in graph.operators)
        if readers > 1:
            op.inputs = np.array([self._added(graph, integers), op.inputs[1]], np.int32)
        else:
            graph.tensors[place] = integers
        of_rows = [int(size) for size in floats.shape]
        stored, counts, steps = (
            self._added(graph, self._tensor(floats.name + suffix, kind, shape))
            for suffix, kind, shape in (
                (b"_integers", "INT8", of_rows), (b"_counts", "FLOAT32", of_rows),
                (b"_steps", "FLOAT32", [*of_rows[:-1], 1]),
            )
        )  # fmt: skip
        self._store(graph, graph.tensors[stored], 0, np.ones(1), "INT8")
        column = self._tensor(table.name + b"_scales", "FLOAT32", [len(scales), 1])
        column.buffer = self._buffer(scales.tobytes())
        outputs, op.outputs = op.outputs, np.array([stored], np.int32)
        after = [
            self._op("DEQUANTIZE", 2, [stored], [counts]),
            self._op("GATHER", 1, [self._added(graph, column), op.inputs[1]], [steps]),
            self._op("MUL", 1, [counts, steps], outputs),
        ]
        after[1].builtinOptionsType, after[1].builtinOptions = (
            op.builtinOptionsType, op.builtinOptions,
        )  # fmt: skip
        after[2].builtinOptionsType = schema.BuiltinOptions.MulOptions
        after[2].builtinOptions = schema.MulOptionsT()
        at = graph.operators.index(op) + 1
        graph.operators[at:at] = after

    def _narrow_kernel(self, graph, place):
        tensor = graph.tensors[place]
        if tensor.buffer not in self.narrowed:
            self.narrowed[tensor.buffer] = self._narrowed_kernel(graph, place)
        narrowed = self.narrowed[tensor.buffer]
        if narrowed is not None:
            self._store(graph, tensor, *narrowed)

    def _narrowed_kernel(self, graph, place):
        """The buffer of a kernel's integers, their scales and type; None if it stays float."""
        values = self.constants.values(graph.tensors[place])
        own, others = (self.stored.bits, self.stored.block), self.stored.others
        wide = [(WIDE_BITS, None)] if ("INT8", values.shape) in others else []
        for bits, block in (own, *wide):
            narrowed = self._on_grid(values, bits, block)
            if narrowed is not None:
                return narrowed
        if ("FLOAT32", values.shape) in others:
            return None
        raise RunError(
            f"Expected the kernel {self._name(graph, place)} of shape {values.shape} to lie on "
            f"a grid of {self.stored.bits} bits."
        )

    def _on_grid(self, values, bits, block):
        """The same for one width; None if a value is not on the grid, or blocks do not fit."""
        outputs, *inputs = values.shape
        width = math.prod(inputs)
        if width % (block or width):
            return None
        blocks = values.reshape(outputs, -1, block or width)
        scale = step_of(np.abs(blocks).max(-1, keepdims=True), bits)
        if block is not None:
            scale = np.maximum(scale, np.float32(SMALLEST_BLOCK_SCALE))
        integers = integers_of(blocks, scale)
        if integers is None:
            return None
        if bits == WIDE_BITS:
            return self._buffer(integers.tobytes()), scale.reshape(-1), "INT8"
        return self._buffer(packed(integers).tobytes()), scale.reshape(outputs, -1), "INT4"

    def _name(self, graph, place):
        return graph.tensors[place].name.decode()

    def _store(self, graph, tensor, buffer, scale, kind):
        tensor.type, tensor.buffer = getattr(schema.TensorType, kind), buffer
        quantization = schema.QuantizationParametersT()
        quantization.quantizedDimension = 0
        if kind == "INT8" or self.stored.block is None:
            quantization.scale = scale.reshape(-1).astype(np.float32)
            quantization.zeroPoint = np.zeros(scale.size, np.int64)
        else:
            details = schema.BlockwiseQuantizationT()
            details.scales = self._constant(graph, tensor.name + b"_scales", scale)
            details.zeroPoints = -1
            details.blockSize = self.stored.block
            quantization.detailsType = schema.QuantizationDetails.BlockwiseQuantization
            quantization.details = details
        tensor.quantization = quantization

    def _constant(self, graph, name, values):
        """Adds a float16 constant and returns its index."""
        tensor = self._tensor(name, "FLOAT16", values.shape)
        tensor.buffer = self._buffer(values.astype(np.float16).tobytes())
        return self._added(graph, tensor)

    @staticmethod
    def _tensor(name, kind, shape):
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = name, getattr(schema.TensorType, kind), 0
        tensor.shape = np.array(shape, np.int32)
        return tensor

    @staticmethod
    def _added(graph, tensor):
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def _buffer(self, data):
        """The index of a buffer with this data, created once: signatures share their kernels."""
        if data not in self.buffers:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            self.model.buffers.append(buffer)
            self.buffers[data] = len(self.model.buffers) - 1
        return self.buffers[data]

    def _op(self, name, version, inputs, outputs):
        op = schema.OperatorT()
        op.opcodeIndex = code_index(self.model, name, version)
        op.inputs, op.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        return op
