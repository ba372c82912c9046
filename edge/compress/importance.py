"""Importance of a trained model's heads, neurons and blocks, measured on its training data."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

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
    effects_of = _on_jax if keras.config.backend() == "jax" else _on_tensorflow
    gate_effects = effects_of(model, loss, [*attentions, *feed_forwards])
    for batch in _first(batches, GRADIENT_BATCHES):
        for projection, effects in gate_effects(batch).items():
            if projection in attentions:
                layer = attentions[projection]
                by_head = np.reshape(effects, (len(effects), layer.num_heads, -1)).sum(axis=2)
                heads[layer.path] += np.abs(by_head).sum(axis=0)
            else:
                neurons[feed_forwards[projection].path] += np.abs(effects).sum(axis=0)
    return Importance(heads=heads, neurons=neurons)


def _on_tensorflow(
    model: keras.Model, loss: Callable, projections: list[Projection]
) -> Callable[[Batch], dict[Projection, np.ndarray]]:
    """Function to each projection's inputs times their gradients, (B, inputs), by projection.

    They are summed over positions.
    """
    import tensorflow as tf

    def gate_effects(batch: Batch) -> dict[Projection, np.ndarray]:
        read: dict[Projection, Any] = {}
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

    return gate_effects


def _on_jax(
    model: keras.Model, loss: Callable, projections: list[Projection]
) -> Callable[[Batch], dict[Projection, np.ndarray]]:
    """The same as the gradients of gates that the inputs are multiplied by."""
    import jax

    def total(gates, inputs, targets, num_targets):
        for projection, gate in zip(projections, gates, strict=True):
            # Those of the checkpoint are merged into its kernels.
            projection.adapter = partial(_gated, projection, gate)
        try:
            outputs = model(inputs, training=False)
        finally:
            for projection in projections:
                projection.adapter = None
        return loss(targets, outputs) * num_targets

    effects = jax.jit(jax.grad(total))

    def gate_effects(batch: Batch) -> dict[Projection, np.ndarray]:
        rows = len(next(iter(batch.inputs.values())))
        gates = [np.zeros((rows, 1, one.kernel.shape[0]), "float32") for one in projections]
        found = effects(gates, batch.inputs, batch.targets, float(batch.num_targets))
        return {
            projection: ops.convert_to_numpy(one)[:, 0]
            for projection, one in zip(projections, found, strict=True)
        }

    return gate_effects


def _gated(projection, gate, inputs):
    """What a gate of 1 + `gate` on the inputs adds to the outputs."""
    return ops.matmul(inputs * gate, projection.kernel)


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
