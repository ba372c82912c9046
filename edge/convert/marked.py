"""Traces the signatures of a file with marks in place of kernels and tables, see `tflite.marks`."""

import re

import keras
import tensorflow as tf

from keras_transformer.edge.tflite.marks import Mark
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.quantization import Projection
from keras_transformer.zoo.models.build import all_layers

_BLOCK = re.compile(r"/block_(\d+)/")
# Projections of the memory run before the blocks, in any order.
_UNORDERED = "/cross_attention/"


def marks_of(model: keras.Model) -> list[Mark]:
    """Returns a mark for each kernel and table of a model, one for those of equal blocks.

    There are none for a model with norms that add: the converter multiplies what is added with the
    kernel that follows, and adds the product to the bias.
    """
    if any(getattr(layer, "beta", None) is not None for layer in all_layers(model)):
        return []
    groups: dict[tuple, dict[int, str]] = {}
    for layer in all_layers(model):
        if isinstance(layer, Projection):
            weight, axis = layer.kernel, 0
        elif isinstance(layer, TokenEmbedding):
            weight, axis = layer.embeddings, 1
        else:
            continue
        path, shape = weight.path, tuple(weight.shape)
        block, name = _BLOCK.search(path), path
        if block is not None and _UNORDERED not in path:
            name = _BLOCK.sub("/block/", path)
        if shape[axis] > 1:
            place = 0 if block is None else int(block[1])
            groups.setdefault((name, shape, axis), {})[place] = path
    return [
        Mark(
            number=number, paths=tuple(paths[place] for place in sorted(paths)), shape=shape,
            axis=axis,
        )
        for number, ((_, shape, axis), paths) in enumerate(groups.items(), start=1)
    ]  # fmt: skip


def traced(
    function: tf.types.experimental.GenericFunction, model: keras.Model, marks: list[Mark]
) -> tf.types.experimental.ConcreteFunction:
    """Returns the graph of a function of the model, with marks in place of weights."""
    if not marks:
        return function.get_concrete_function()
    variables = {variable.path: variable for variable in model.variables}

    def marked(*inputs):
        mapping = []
        for mark in marks:
            constant = tf.constant(mark.values())
            mapping += [(variables[path], constant) for path in mark.paths]
        with keras.StatelessScope(state_mapping=mapping):
            return function.python_function(*inputs)

    return tf.function(
        marked, input_signature=function.input_signature, autograph=False
    ).get_concrete_function()
