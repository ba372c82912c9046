"""Checkpoints with other weights."""

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.build import get_weights, set_weights


def changed(checkpoint, folder, change):
    """The folder of the shared checkpoint with other weights."""
    made = Checkpoint.load(checkpoint)
    weights = get_weights(made.model)
    change(weights)
    set_weights(made.model, weights)
    made.save(folder)
    return folder
