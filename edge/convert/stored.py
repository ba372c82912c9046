"""The types in which a file stores the kernels and tables of a model."""

from collections import Counter

import keras

from keras_transformer.edge.precision import Precision
from keras_transformer.edge.tflite.narrow import StoredKernels
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.frames import LogMel
from keras_transformer.quantization import KernelLayer
from keras_transformer.zoo.models.build import all_layers


def stored_kernels(model: keras.Model, spec: Precision) -> StoredKernels:
    """Returns the required storage types for the file of a model."""
    others, tables = Counter(), set()
    for layer in all_layers(model) if spec.rounds_kernels else ():
        if isinstance(layer, KernelLayer) and layer.kernel_bits != spec.kernel_bits:
            kind = "FLOAT32" if layer.kernel_bits is None else "INT8"
            *inputs, units = layer.kernel.shape
            # Those of projections are transposed, those of convolutions begin with the outputs.
            others[kind, (units, *inputs)] += 1
        if isinstance(layer, TokenEmbedding):
            shape = tuple(layer.embeddings.shape)
            is_rounded = layer.rounds_table or layer.point.bits is not None
            others["INT8" if is_rounded else "FLOAT32", shape] += 1
            if is_rounded:
                tables.add(shape)
        if isinstance(layer, LogMel):
            others.update(("FLOAT32", one.shape[::-1]) for one in layer.constants)
    return StoredKernels(
        bits=spec.kernel_bits, block=spec.kernel_block, tables=frozenset(tables), others=others
    )
