"""Inputs, outputs and memory of a compiled graph, as a host has to know them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.targets.ethos.edits import Edited
from keras_transformer.edge.tflite.schema import TYPE_NAMES

# Entry of the metadata with the place of each tensor in the arena: a version, the graph, the number
# of tensors, then the offsets, of which -1 is none.
_PLAN = b"OfflineMemoryAllocation"
_BEFORE_OFFSETS = 3
_FAST = b"scratch_fast"
_ALIGNMENT = 16
# What TensorFlow Lite Micro's interpreter keeps in the arena beside the tensors, at most: on its
# own, for each tensor and for each op.
_OWN, _OF_TENSOR, _OF_OP = 2048, 128, 256


def interface(compiled: bytes) -> dict[str, list[dict[str, Any]]]:
    """Returns `inputs` and `outputs` in the order of the compiled graph.

    Each has its `name` in the signature, `type`, `shape`, and, if it is of integers that stand for
    numbers, `scale` and `zero`.
    """
    edited = Edited(compiled)
    [signature] = edited.model.signatureDefs
    found = {}
    for kind in ("inputs", "outputs"):
        # Tensors have names of the compiler's.
        names = {int(end.tensorIndex): end.name.decode() for end in getattr(signature, kind)}
        found[kind] = [
            {"name": names[int(place)], **_described(edited, int(place))}
            for place in getattr(edited.graph, kind)
        ]
    return found


def _described(edited: Edited, place: int) -> Mapping[str, Any]:
    tensor = edited.tensor(place)
    found = {"type": TYPE_NAMES[tensor.type].lower(), "shape": edited.shape(place)}
    quantization = tensor.quantization
    if quantization is not None and quantization.scale is not None:
        scale, zero = edited.grid(place)
        found |= {"scale": scale, "zero": zero}
    return found


def planned_bytes(compiled: bytes) -> int:
    """Returns a number of bytes that suffices for the arena of TensorFlow Lite Micro.

    They are those of the tensors as the compiler placed them, and of the interpreter's own
    structures on a device of 32 bits.
    """
    edited = Edited(compiled)
    [plan] = [one for one in edited.model.metadata if one.name == _PLAN]
    data = np.asarray(edited.model.buffers[plan.buffer].data, np.uint8).view(np.int32)
    ends = [
        int(offset) + _size(edited.shape(place), tensor.type)
        for place, (tensor, offset) in enumerate(
            zip(edited.graph.tensors, data[_BEFORE_OFFSETS:], strict=True)
        )
        if offset >= 0
    ]
    tensors, ops = len(edited.graph.tensors), len(edited.graph.operators)
    return _aligned(max(ends)) + _OWN + _OF_TENSOR * tensors + _OF_OP * ops


def fast_bytes(compiled: bytes) -> int:
    """Returns the bytes of the fast memory that `ethosu_init` is given; 0 if it needs none."""
    edited = Edited(compiled)
    found = [
        _size(edited.shape(place), tensor.type)
        for place, tensor in enumerate(edited.graph.tensors) if tensor.name == _FAST
    ]  # fmt: skip
    return sum(map(_aligned, found))


def _size(shape, kind):
    width = 4 if kind in (schema.TensorType.INT32, schema.TensorType.FLOAT32) else 1
    return int(np.prod(shape)) * width


def _aligned(size):
    return -(-size // _ALIGNMENT) * _ALIGNMENT
