"""Scales of a model's inputs that are learned from training data before the weights are."""

import keras

from keras_transformer.frames import LogMel
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.models.build import all_layers

# Rows that scales are learned from.
_ROWS = 2000


def learn_scales(model: keras.Model, batches: Batches | SampledBatches) -> None:
    """Sets the means and deviations of the mel bands of a model that reads sounds.

    Args:
        model: model without trained weights.
        batches: training batches.
    """
    for layer in all_layers(model):
        if isinstance(layer, LogMel):
            layer.learn(_waveforms(batches))


def _waveforms(batches):
    rows = 0
    for batch in batches.epoch(0):
        yield batch.inputs["waveform"]
        rows += len(batch.index)
        if rows >= _ROWS:
            break
