"""Rematerialization of a model's blocks in training."""

from collections.abc import Callable
from typing import Any

import keras

from keras_transformer.stacks import Decoder, Encoder
from keras_transformer.zoo.models.build import all_layers

# Others need not have it.
if keras.config.backend() == "jax":
    import jax
    import jax.numpy as jnp


def rematerialize(model: keras.Model, is_on: bool) -> None:
    """Makes training compute the insides of a model's blocks again for the gradients, or not.

    Memory is held for the inputs of each block, and for the insides of one at a time.
    """
    remat = _remat if keras.config.backend() == "jax" else keras.remat
    for layer in all_layers(model):
        if isinstance(layer, Encoder | Decoder):
            layer.remat = remat if is_on else None


def _remat(function: Callable) -> Callable:
    """Does what `jax.checkpoint` does, of a function of weights and more, whatever XLA's scheduler.

    `jax.checkpoint` keeps XLA from computing everything again at once by a barrier, which XLA for
    processors removes before it decides on an order, and nothing is saved.
    """
    made = jax.custom_vjp(function)

    def backward(inputs: tuple, slopes: Any) -> tuple:
        outputs, _ = slopes
        # It is 0 unless the gradients are lost, which XLA cannot know before it has one.
        is_lost = jnp.isnan(outputs.ravel()[0])
        weights, *others = inputs
        others = jax.tree.map(lambda one: one + is_lost.astype(one.dtype), others)
        return jax.vjp(function, weights, *others)[1](slopes)

    made.defvjp(lambda *inputs: (function(*inputs), inputs), backward)
    return made
