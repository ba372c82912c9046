"""Prediction with a Keras model over batches, by one thread at a time."""

import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import RunError

PREDICT_TOKENS = 8192


class Turn:
    """A context in which no other thread predicts with the same model.

    Keras keeps what it predicts with on the model; on JAX a second thread finds buffers there that
    the first has given away.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._process = os.getpid()

    def check(self) -> None:
        """Raises RunError in a fork, where a framework waits for threads that it does not have."""
        if self._process != os.getpid():
            raise RunError(
                "Expected a Keras model to be used by the process that made it, got one of process "
                f"{self._process} in its fork {os.getpid()}; start processes by spawn, or run a "
                ".tflite file, which may be forked."
            )

    def __enter__(self) -> None:
        self.check()
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


_TURNS: weakref.WeakKeyDictionary[keras.Model, Turn] = weakref.WeakKeyDictionary()


def turn_of(model: keras.Model) -> Turn:
    """Returns the one turn of a model."""
    return _TURNS.setdefault(model, Turn())


def model_inputs(model: keras.Model, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The model's inputs among the columns, in its own order."""
    return {tensor.name: columns[tensor.name] for tensor in model.inputs}


def predict(model: keras.Model, batches: Batches) -> np.ndarray:
    """Returns the outputs (rows, outputs) in the order of the rows; threads take turns.

    Raises:
        RunError: if the process was forked since the model was made.
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
    rows, parts = [], []
    for batch in batches.in_order():
        parts.append(outputs_of(batch))
        rows.append(batch.index)
    outputs = np.concatenate(parts)
    result = np.empty_like(outputs)
    result[np.concatenate(rows)] = outputs
    return result
