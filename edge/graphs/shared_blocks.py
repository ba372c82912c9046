"""Blocks of a stack that are alike, run by one graph in place of an eager call of each.

A block is several hundred small ops, and most of an eager call is what Keras and TensorFlow do in
Python around them. A graph of the first block that takes the weights as inputs computes every other
block that differs from it in its weights alone.
"""

import contextlib
from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transformer.dropout import Dropout
from keras_transformer.quantization import QuantPoint
from keras_transformer.room import known
from keras_transformer.stacks import Decoder, Encoder
from keras_transformer.zoo.models.build import all_layers

# What Keras and TensorFlow keep of any layer: bookkeeping, its names, and lists of what it has.
_OF_KERAS = frozenset(vars(keras.layers.Layer())) - {"autocast"}
_OF_TENSORFLOW = "_self_"


@contextlib.contextmanager
def shared_blocks(model: keras.Model) -> Iterator[None]:
    """Runs blocks that are alike by one graph in the context, outside of training.

    The graph has the ops of an eager call, in its order, and calls the observers of the running
    block's points: TensorFlow's rewriting of graphs, which would add up other sums, is off.

    Args:
        model: the model, of which nothing but the observers of points may change meanwhile.
    """
    stacks = [layer for layer in all_layers(model) if isinstance(layer, Encoder | Decoder)]
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        for stack in stacks:
            stack.run_block = _Blocks(stack)
        yield
    finally:
        for stack in stacks:
            stack.run_block = None
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


class _Blocks:
    """The graphs of a stack's blocks, each traced when it is first asked for."""

    def __init__(self, stack: Encoder | Decoder):
        self._kinds = {id(block): _kind(block) for block in stack.blocks}
        self._counts = Counter(self._kinds[id(block)] for block in stack.blocks)
        self._graphs: dict[Hashable, _Graph] = {}

    def __call__(self, block: keras.Layer, *inputs: Any, **tensors: Any) -> Any:
        kind = self._kinds[id(block)]
        if self._counts[kind] == 1:
            return block(*inputs, training=False, **tensors)
        place = known(tensors.get("cache_index"))
        if place is not None and block.inner_bits is not None:
            # What a device stores of rotations depends on whether the place is known.
            tensors["cache_index"] = place
        given = {name: value for name, value in tensors.items() if value is not None}
        leaves = tf.nest.flatten((inputs, given))
        shapes = tuple(tuple(one.shape) if tf.is_tensor(one) else one for one in leaves)
        observed = tuple(point.observer is not None for point in _points_of(block))
        # TensorFlow warns of a function that is traced for many shapes.
        key = kind, observed, tuple(sorted(given)), shapes
        if key not in self._graphs:
            self._graphs[key] = _Graph(block)
        return self._graphs[key](block, inputs, given)


class _Graph:
    """The graph of a block for inputs of some shapes, which runs all blocks that are alike."""

    def __init__(self, block: keras.Layer):
        self._block, self._points = block, _points_of(block)
        self._traced = tf.function(self._trace, autograph=False)
        self._running = self._points

    def __call__(self, block, inputs, tensors):
        self._running = _points_of(block)
        weights = [tf.convert_to_tensor(weight) for weight in block.weights]
        return self._traced(weights, inputs, tensors)

    def _trace(self, weights, inputs, tensors):
        values = zip(self._block.weights, weights, strict=True)
        observers = [point.observer for point in self._points]
        try:
            for number, point in enumerate(self._points):
                if point.observer is not None:
                    point.observer = self._observer(number)
            with keras.StatelessScope(state_mapping=list(values)):
                return self._block(*inputs, training=False, **tensors)
        finally:
            for point, observer in zip(self._points, observers, strict=True):
                point.observer = observer

    def _observer(self, number):
        """Makes the graph call the observer of the running block's point of a number."""

        def observed(_, outputs):
            def call(values):
                point = self._running[number]
                found = keras.ops.convert_to_numpy(point.observer(point, values))
                return found.astype(values.dtype, copy=False)

            result = tf.numpy_function(call, [outputs], outputs.dtype)
            return tf.ensure_shape(result, outputs.shape)

        return observed


def _points_of(block):
    return [layer for layer in block._flatten_layers() if isinstance(layer, QuantPoint)]


def _kind(value: Any) -> Hashable:
    """What the graph of a layer depends on except the values of its weights."""
    if isinstance(value, Dropout):
        return Dropout  # the identity outside of training
    if isinstance(value, keras.Layer):
        own = {
            name: one for name, one in vars(value).items()
            if name not in _OF_KERAS and not name.startswith(_OF_TENSORFLOW)
        }  # fmt: skip
        if isinstance(value, QuantPoint):
            own["observer"] = None  # may be another in each call
        return type(value), value.dtype_policy.name, _kind(own)
    if isinstance(value, keras.Variable):
        return keras.Variable, tuple(value.shape), value.dtype
    if isinstance(value, dict):
        return dict, tuple((name, _kind(value[name])) for name in sorted(value))
    if isinstance(value, list | tuple):
        return tuple(_kind(one) for one in value)
    if value is None or isinstance(value, bool | int | float | str | np.number):
        return type(value), value
    # Whatever else it is, only the same one is alike.
    return id(value)
