"""Rematerialization of a model's blocks in training."""

import keras

from keras_transformer.stacks import Decoder, Encoder
from keras_transformer.zoo.models.build import all_layers


def rematerialize(model: keras.Model, is_on: bool) -> None:
    """Makes training compute the insides of a model's blocks again for the gradients, or not.

    Memory is held for the inputs of each block, and for the insides of one at a time.
    """
    for layer in all_layers(model):
        if isinstance(layer, Encoder | Decoder):
            layer.remat = is_on
