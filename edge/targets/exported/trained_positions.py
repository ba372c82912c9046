"""Models without the learned positions that no training row reached."""

import dataclasses

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.build import build, get_weights, set_weights


def of_trained_positions(checkpoint: Checkpoint) -> Checkpoint:
    """Returns a float checkpoint whose tables of positions end with its longest input.

    A graph of free lengths reads as many positions as its table has rows; those beyond were never
    trained, and its runtime refuses what is not there.
    """
    longest = checkpoint.longest
    if longest == checkpoint.config.max_length:
        return checkpoint
    config = checkpoint.config.replace(max_length=longest)
    model = build(config, checkpoint.task)
    weights = get_weights(checkpoint.model)
    tables = {weight.path for weight in model.weights if weight.shape != weights[weight.path].shape}
    set_weights(model, weights | {path: weights[path][:longest] for path in tables})
    return dataclasses.replace(checkpoint, config=config, model=model)
