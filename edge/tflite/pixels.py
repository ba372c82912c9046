"""Pixels of integer files: what the graph computes of them in float is how they are stored.

`keras_transformer.patches.Patches` makes numbers of pixels, `(v - 128) / 128`, which 8 bits hold
exactly. A file of integers needs no float for it: the input's own scale says it.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.tflite.schema import op_name
from keras_transformer.patches import PIXEL_CENTER


def store_pixels(model: schema.ModelT, graph: schema.SubGraphT) -> None:
    """Lets the first op of each 8-bit input store it: QUANTIZE, in place of four ops.

    They are CAST, SUB, MUL and QUANTIZE to 8 bits. The input stays uint8, and has a scale.
    """
    for place in graph.inputs:
        ops = _chain(model, graph, int(place))
        if ops is None:
            continue
        last = ops[-1]
        stored = graph.tensors[last.outputs[0]].quantization
        quantization = schema.QuantizationParametersT()
        quantization.scale = np.array(stored.scale, np.float32)
        # One more for each of the values below 0 that the stored type has and bytes lack.
        quantization.zeroPoint = np.array(stored.zeroPoint, np.int64) + int(PIXEL_CENTER)
        graph.tensors[place].quantization = quantization
        last.inputs = np.array([place], np.int32)
        graph.operators = [one for one in graph.operators if not any(one is o for o in ops[:-1])]


def _chain(model, graph, place):
    """The ops that make stored pixels of an input, or None where it is no 8-bit image."""
    tensor = graph.tensors[place]
    if tensor.type != schema.TensorType.UINT8:
        return None
    ops = []
    for name in ("CAST", "SUB", "MUL", "QUANTIZE"):
        readers = [one for one in graph.operators if place in one.inputs]
        if len(readers) != 1 or op_name(model.operatorCodes[readers[0].opcodeIndex]) != name:
            return None
        ops += readers
        place = int(readers[0].outputs[0])
    stored = graph.tensors[place]
    if stored.type != schema.TensorType.INT8:
        return None
    # Only of what it would compute: the scale of the point, and its zero.
    fits = np.array_equal(stored.quantization.scale, [np.float32(1 / PIXEL_CENTER)]) and not any(
        stored.quantization.zeroPoint
    )
    return ops if fits else None
