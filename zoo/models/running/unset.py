"""Models without initial weights, which are assigned all of theirs."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from keras_transformer.initial import initialized_by


@contextmanager
def unset_weights() -> Iterator[None]:
    """Builds models whose kernels and tables have arbitrary values until they are assigned.

    Initial values take the memory and the time of the weights. Memory that nothing was written to
    is not yet the process' own.
    """
    with initialized_by(_unset):
        yield


def _unset(shape, dtype=None):
    dtype = keras.backend.standardize_dtype(dtype)
    if keras.config.backend() == "tensorflow":
        # Others need not have it.
        import tensorflow as tf

        return tf.raw_ops.Empty(shape=list(shape), dtype=dtype)
    # Equal in all processes of a distributed run, and not yet memory of the process either.
    return np.zeros(shape, dtype)
