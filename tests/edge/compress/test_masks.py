"""Masks and nearest values in NumPy and keras.ops against tfmot's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transformer.edge.compress import by_tfmot, clustering, masks
from keras_transformer.edge.compress.magnitude import PATTERNS


@pytest.mark.parametrize("shape", [(24, 16), (30, 19), (10, 5)])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("sparsity", [0.5, 0.8])
def test_masks_are_tfmots(shape, pattern, sparsity):
    """At every step of a run whose weights move, and after a start from the zeros of before."""
    rng = np.random.default_rng(0)
    value = rng.normal(size=shape).astype("float32")
    kernels = [keras.Variable(value) for _ in range(2)]
    both = [
        kind.Masks([kernel], sparsity, *PATTERNS[pattern], 12, 3)
        for kind, kernel in zip((by_tfmot, masks), kernels, strict=True)
    ]
    for step in range(1, 16):
        moved = rng.normal(size=shape).astype("float32") * 0.1
        for one, kernel in zip(both, kernels, strict=True):
            if step == 8:
                one.take()
            kernel.assign(np.asarray(kernel.value) + moved)
            one.apply(step)
        np.testing.assert_array_equal(*(np.asarray(kernel.value) for kernel in kernels))
    assert (np.asarray(kernels[1].value) == 0).any()


def test_the_nearest_values_are_tfmots():
    rng = np.random.default_rng(0)
    for count in (1, 2, 15, 256):
        centroids = keras.Variable(np.sort(rng.normal(size=count)).astype("float32"))
        values = tf.constant(rng.normal(size=5000).astype("float32"))
        np.testing.assert_array_equal(
            by_tfmot.nearest(centroids)(values), clustering._nearest(centroids)(values)
        )
