"""Importance of a trained model's heads, neurons and blocks, measured on its training data."""

import itertools
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from keras_transformer.attention import MultiHeadAttention
from keras_transformer.edge.compress.structure import Importance
from keras_transformer.feedforward import FeedForward
from keras_transformer.quantization import Projection
from keras_transformer.stacks import Decoder, Encoder
from keras_transformer.zoo.data.batches import Batch, Batches, SampledBatches
from keras_transformer.zoo.models.build import all_layers

GRADIENT_BATCHES = 64
# Removing a block costs one pass over them for each remaining block.
LOSS_BATCHES = 16


def head_and_neuron_importance(
    model: keras.Model, loss: Callable, batches: Batches | SampledBatches
) -> Importance:
    """Estimates, to first order, how the loss changes if a head or neuron is removed.

    The absolute gradient of a row's loss with respect to a gate on the head or neuron, which is
    its activations times their gradient, summed over rows (Michel et al. 2019, arXiv:1905.10650,
    equation 2; Molchanov et al. 2017, arXiv:1611.06440, section 2.2).

    Args:
        model: a float model.
        loss: function from targets and outputs to a mean loss.
        batches: batches, of which the first `GRADIENT_BATCHES` are run.
    """
    attentions = {
        layer.output_projection: layer
        for layer in all_layers(model) if isinstance(layer, MultiHeadAttention)
    }  # fmt: skip
    feed_forwards = {
        layer.down: layer for layer in all_layers(model) if isinstance(layer, FeedForward)
    }
    heads = {layer.path: np.zeros(layer.num_heads) for layer in attentions.values()}
    neurons = {layer.path: np.zeros(layer.intermediate_dim) for layer in feed_forwards.values()}
    for batch in _first(batches, GRADIENT_BATCHES):
        for projection, effects in _gate_effects(
            model, loss, batch, [*attentions, *feed_forwards]
        ).items():
            if projection in attentions:
                layer = attentions[projection]
                by_head = np.reshape(effects, (len(effects), layer.num_heads, -1)).sum(axis=2)
                heads[layer.path] += np.abs(by_head).sum(axis=0)
            else:
                neurons[feed_forwards[projection].path] += np.abs(effects).sum(axis=0)
    return Importance(heads=heads, neurons=neurons)


def _gate_effects(
    model: keras.Model, loss: Callable, batch: Batch, projections: list[Projection]
) -> dict[Projection, np.ndarray]:
    """Each projection's inputs times their gradients, (B, inputs), summed over positions."""
    read: dict[Projection, tf.Tensor] = {}
    with tf.GradientTape() as tape:

        def remember(projection, inputs):
            tape.watch(inputs)
            read[projection] = inputs

        for projection in projections:
            projection.observer = remember
        try:
            outputs = model(batch.inputs, training=False)
        finally:
            for projection in projections:
                projection.observer = None
        value = loss(batch.targets, outputs) * batch.num_targets
    gradients = tape.gradient(value, list(read.values()))
    return {
        projection: tf.reduce_sum(inputs * gradient, axis=1).numpy()
        for (projection, inputs), gradient in zip(read.items(), gradients, strict=True)
    }


def least_costly_blocks(
    model: keras.Model, loss: Callable, batches: Batches | SampledBatches, layers: int
) -> dict[str, list[int]]:
    """Selects the blocks to keep, removing one after another the block that costs least loss.

    Args:
        model: a float model.
        loss: function from targets and outputs to a mean loss.
        batches: batches, of which the first `LOSS_BATCHES` are run.
        layers: number of blocks to keep in each stack.

    Returns:
        The indices of the kept blocks by name of the stack.
    """
    kept = {}
    for stack in (layer for layer in model.layers if isinstance(layer, Encoder | Decoder)):
        numbers = list(range(len(stack.blocks)))
        while len(numbers) > layers:
            costs = {}
            for number in numbers:
                rest = [other for other in numbers if other != number]
                with stack.only_blocks(rest):
                    costs[number] = _mean_loss(model, loss, batches)
            numbers.remove(min(costs, key=costs.get))
        kept[stack.name] = numbers
    return kept


def _mean_loss(model: keras.Model, loss: Callable, batches: Batches | SampledBatches) -> float:
    total, targets = 0.0, 0
    for batch in _first(batches, LOSS_BATCHES):
        value = loss(batch.targets, model(batch.inputs, training=False))
        total += float(value) * batch.num_targets
        targets += batch.num_targets
    return total / targets


def _first(batches: Batches | SampledBatches, count: int) -> Iterator[Batch]:
    return itertools.islice(batches.epoch(0), count)
