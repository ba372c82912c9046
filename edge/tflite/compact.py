"""Compaction of a TFLite flatbuffer: fewer bytes, with the same graph and values."""

from hashlib import sha256

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # required by the schema for constants; Python's generated code does not align them
_METADATA = b"min_runtime_version"  # the rest describes the conversion, not the model


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors once: the format's offsets let any number of tables share one.

    Most of them are zero points of per-channel kernels, 8 bytes per channel and all 0.
    """

    def __init__(self, initial_size: int):
        super().__init__(0)
        # Memory that nothing was written to is not yet the process' own, unlike a bytearray's.
        self.Bytes = memoryview(np.empty(max(initial_size, 1), np.uint8))
        self.head = len(self.Bytes)
        self._written: dict[tuple, int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        # The hash of a large constant: its bytes would be kept beside those that are written.
        data = np.ascontiguousarray(x).reshape(-1).view(np.uint8)
        key = (x.dtype.str, data.tobytes() if data.size < 64 else sha256(data).digest())
        if key not in self._written:
            if x.dtype == np.uint8:
                self.Prep(_ALIGNMENT, x.nbytes)
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


def compact(flatbuffer: bytes) -> bytes:
    """Returns the model with short tensor names, shared vectors and no record of its conversion.

    The names of the graph's inputs and outputs stay. Every other tensor is named after its index,
    `t7`, since the converter's names are paths that run to hundreds of bytes.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    model.metadata = [entry for entry in model.metadata or () if entry.name == _METADATA]
    for graph in model.subgraphs:
        kept = {*graph.inputs.tolist(), *graph.outputs.tolist()}
        for place, tensor in enumerate(graph.tensors):
            if place not in kept:
                tensor.name = f"t{place}".encode()
            quantization = tensor.quantization
            if quantization is not None and quantization.scale is None and not quantization.details:
                tensor.quantization = None
    return to_bytes(model, len(flatbuffer))


def to_bytes(model: schema.ModelT, size: int) -> bytes:
    """Returns the flatbuffer of a model.

    Args:
        model: model; constants that no tensor uses are left out.
        size: estimated size in bytes of all but its constants.
    """
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or ()}
    for place, buffer in enumerate(model.buffers):
        if place not in used:
            buffer.data = None
    constants = (len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = _SharingBuilder(size + sum(constants))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(memoryview(builder.Bytes)[builder.Head() :])
