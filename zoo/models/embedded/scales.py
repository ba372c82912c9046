"""Scales of a model's inputs that are learned from training data before the weights are."""

from collections.abc import Iterator
from typing import Protocol

import keras
import numpy as np

from keras_transformer.frames import LogMel
from keras_transformer.zoo.data.batches import Batch
from keras_transformer.zoo.models.build import all_layers

# Rows that scales are learned from.
_ROWS = 2000


class Epochs(Protocol):
    """Training batches by epochs, augmented or not."""

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Yields the batches of an epoch."""


def learn_scales(model: keras.Model, batches: Epochs) -> None:
    """Sets the means and deviations of the mel bands of a model that reads sounds.

    Args:
        model: model without trained weights.
        batches: training batches.
    """
    for layer in all_layers(model):
        if isinstance(layer, LogMel):
            layer.learn(_waveforms(batches))


def _waveforms(batches: Epochs) -> Iterator[np.ndarray]:
    rows = 0
    for batch in batches.epoch(0):
        yield batch.inputs["waveform"]
        rows += len(batch.index)
        if rows >= _ROWS:
            break
