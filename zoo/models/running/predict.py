"""Prediction with a Keras model over batches."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.models.running.turns import turn_of

PREDICT_TOKENS = 8192


def model_inputs(model: keras.Model, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The model's inputs among the columns, in its own order."""
    return {tensor.name: columns[tensor.name] for tensor in model.inputs}


def predict(model: keras.Model, batches: Batches) -> np.ndarray:
    """Returns the outputs (rows, outputs) in the order of the rows; threads take turns.

    Raises:
        RunError: the process was forked since the model was made.
    """
    return np.stack(predict_each(model, batches))


def predict_each(model: keras.Model, batches: Batches) -> list[np.ndarray]:
    """Returns the outputs of each row, which may differ in length: (outputs,), or (T, outputs).

    Raises:
        RunError: see `predict`.
    """
    with turn_of(model):
        return _predicted(model, batches)


def _predicted(model, batches):

    def outputs_of(batch):
        return np.asarray(model.predict_on_batch(batch.inputs))

    if model.predict_function is None:
        # TensorFlow relaxes a graph's shapes with each new shape, and a relaxed graph differs in
        # the last bits: a second call on the same batches has to return the same as the first.
        for batch in batches.one_of_each_shape():
            outputs_of(batch)
    found: dict[int, np.ndarray] = {}
    for batch in batches.in_order():
        found.update(zip(batch.index.tolist(), outputs_of(batch), strict=True))
    return [found[row] for row in range(len(found))]
