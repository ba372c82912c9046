"""Traces the signatures of a file with marks in place of kernels and tables, see `tflite.marks`."""

import re
from collections import Counter
from collections.abc import Sequence

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
    shapes = Counter(frozenset(shape) for _, shape, _ in groups)
    return [
        Mark(
            number=number, paths=tuple(paths[place] for place in sorted(paths)), shape=shape,
            axis=axis, is_alone=len(set(shape)) == 2 and shapes[frozenset(shape)] == 1,
        )
        for number, ((_, shape, axis), paths) in enumerate(groups.items(), start=1)
    ]  # fmt: skip


class Marked:
    """Traces functions of a model with marks in place of weights.

    Args:
        model: the model.
        marks: the marks.

    Attributes:
        variables: those that the graphs read besides the model's own.
    """

    def __init__(self, model: keras.Model, marks: Sequence[Mark]):
        self._weights = {variable.path: variable for variable in model.variables}
        self._marks = marks
        # A constant is copied into each graph; those that are one number are small.
        self.variables = {
            mark.number: tf.Variable(mark.values(), trainable=False)
            for mark in marks
            if not mark.is_alone
        }

    def traced(
        self, function: tf.types.experimental.GenericFunction
    ) -> tf.types.experimental.ConcreteFunction:
        """Returns the graph of a function."""
        if not self._marks:
            return function.get_concrete_function()

        def marked(*inputs):
            mapping = []
            for mark in self._marks:
                if mark.is_alone:
                    value = tf.constant(mark.ratio, shape=mark.shape)
                else:
                    value = tf.convert_to_tensor(self.variables[mark.number])
                mapping += [(self._weights[path], value) for path in mark.paths]
            with keras.StatelessScope(state_mapping=mapping):
                return function.python_function(*inputs)

        return tf.function(
            marked, input_signature=function.input_signature, autograph=False
        ).get_concrete_function()
