"""Threads and processes that share a Keras model."""

import os
import threading
import weakref

import keras

from keras_transformer.zoo.errors import RunError


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
