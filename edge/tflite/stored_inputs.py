"""Inputs of integer files: what the graph computes of them in float is how they are stored.

`keras_transformer.patches.Patches` makes numbers of pixels, `(v - 128) / 128`, which 8 bits hold
exactly, and a spectrogram that the host computes, `edge.graphs.front_end`, comes in the integers of
its point. A file of integers needs no float for either: the input's own scale says it.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.tflite.schema import op_name
from keras_transformer.patches import PIXEL_CENTER

_TYPES = schema.TensorType


def store_inputs(model: schema.ModelT, graph: schema.SubGraphT) -> None:
    """Gives 8-bit inputs a scale in place of the float ops that compute it.

    They are CAST, SUB, MUL and QUANTIZE to 8 bits. Pixels stay uint8, and the QUANTIZE stores them;
    an input of int8 needs none.
    """
    for place in map(int, graph.inputs):
        ops = _chain(model, graph, place)
        if ops is None:
            continue
        last, tensor = ops[-1], graph.tensors[place]
        stored = graph.tensors[last.outputs[0]].quantization
        quantization = schema.QuantizationParametersT()
        quantization.scale = np.array(stored.scale, np.float32)
        quantization.zeroPoint = np.array(stored.zeroPoint, np.int64)
        tensor.quantization = quantization
        if tensor.type == _TYPES.UINT8:
            # One more for each of the values below 0 that the stored type has and bytes lack.
            quantization.zeroPoint += int(PIXEL_CENTER)
            last.inputs = np.array([place], np.int32)
            del ops[-1]
        else:
            for reader in graph.operators:
                reader.inputs = np.where(reader.inputs == last.outputs[0], place, reader.inputs)
        graph.operators = [one for one in graph.operators if not any(one is o for o in ops)]


def _chain(model, graph, place):
    """The ops that make stored values of an input, or None where it has 8 bits of no such kind."""
    kind, ops = graph.tensors[place].type, []
    if kind not in (_TYPES.UINT8, _TYPES.INT8):
        return None
    for name in ("CAST", "SUB", "MUL", "QUANTIZE"):
        readers = [one for one in graph.operators if place in one.inputs]
        if len(readers) != 1 or op_name(model.operatorCodes[readers[0].opcodeIndex]) != name:
            return None
        ops += readers
        place = int(readers[0].outputs[0])
    stored = graph.tensors[place]
    if stored.type != _TYPES.INT8:
        return None
    center, step = (_constant(model, graph, op.inputs[1]) for op in ops[1:3])
    # Only of what it would compute: the scale of the point, and its zero.
    zero = 0.0 if kind == _TYPES.UINT8 else center
    fits = np.array_equal(stored.quantization.scale, [step])
    is_centered = np.array_equal(stored.quantization.zeroPoint, [zero])
    return ops if fits and is_centered and (zero == center or center == PIXEL_CENTER) else None


def _constant(model, graph, place):
    """The value of a float32 constant of one number, or None."""
    data = model.buffers[graph.tensors[place].buffer].data
    is_one = data is not None and len(data) == 4
    return np.asarray(data, np.uint8).view(np.float32)[0] if is_one else None
