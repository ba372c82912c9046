"""Traces the signatures of a file with marks in place of kernels and tables, see `tflite.marks`."""

import math
import re
from collections import Counter
from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_transformer.edge.tflite.marks import Mark
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.quantization import Projection
from keras_transformer.zoo.models.build import all_layers

# A table has at least so many times the rows that stand for it.
_TIMES_FEWER = 4
_BLOCK = re.compile(r"/block_(\d+)/")
# Projections of the memory run before the blocks, in any order.
_UNORDERED = "/cross_attention/"


def marks_of(model: keras.Model, length: int) -> list[Mark]:
    """Returns a mark for each kernel and table of a model, one for those of equal blocks.

    There are none for a model with norms that add: the converter multiplies what is added with the
    kernel that follows, and adds the product to the bias.

    Args:
        model: the model.
        length: length of the longest input.
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
    marks = []
    for (_, shape, axis), paths in groups.items():
        same = {"number": len(marks) + 1, "shape": shape, "axis": axis}
        paths = tuple(paths[place] for place in sorted(paths))
        is_alone, rows, biases = len(set(shape)) == 2 and shapes[frozenset(shape)] == 1, None, []
        if is_alone and axis == 1:
            rows, biases = _fewer(model, paths[0], shape[0], length)
        marks.append(Mark(paths=paths, is_alone=is_alone, rows=rows, **same))
        for path in biases:
            same |= {"number": len(marks) + 1, "shape": shape[:1], "axis": 0}
            marks.append(Mark(paths=(path,), is_alone=True, rows=rows, **same))
    return marks


def _fewer(model, table, rows, length):
    """A number of rows that stands for those of a large table in a graph, or None of another.

    It is recognized among the sizes of a graph: as a prime it is no product of others, and it is
    more than the sum of two. The second result is the paths of the vectors with as many numbers.
    """
    shapes = {variable.path: tuple(variable.shape) for variable in model.variables}
    others = {path: shape for path, shape in shapes.items() if rows in shape and path != table}
    if set(others.values()) - {(rows,)}:
        return None, []
    largest = max(size for shape in shapes.values() for size in (*shape, length) if size != rows)
    for number in range(2 * largest + 1, rows // _TIMES_FEWER + 1):
        if all(number % divisor for divisor in range(2, math.isqrt(number) + 1)):
            return number, list(others)
    return None, []


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
            mapping, tables = [], []
            for mark in self._marks:
                if mark.is_alone:
                    value = tf.constant(mark.ratio, shape=mark.traced_shape)
                else:
                    value = tf.convert_to_tensor(self.variables[mark.number])
                found = mapping if mark.rows is None else tables
                found += [(self._weights[path], value) for path in mark.paths]
            with keras.StatelessScope(state_mapping=mapping) as scope:
                for table in tables:
                    # Keras expects weights at the beginning to have their own shapes.
                    scope.add_update(table)
                return function.python_function(*inputs)

        return tf.function(
            marked, input_signature=function.input_signature, autograph=False
        ).get_concrete_function()
