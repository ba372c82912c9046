"""Dropout that uses each random word for two elements, and stochastic depth.

Drawing random words costs more than the rest of dropout, and half a word is enough to decide about
an element.
"""

import math

import keras
from keras import ops

_STEPS = 2**16  # number of values of half a 32-bit word


def keep_mask(shape, rate, seed):
    """Returns booleans of that shape, each True with probability `1 - rate`.

    Args:
        shape: shape of the result; an axis may be a scalar tensor.
        rate: dropout rate, a multiple of `2**-16`.
        seed: integer or `keras.random.SeedGenerator`.
    """
    size = math.prod(shape)
    words = keras.random.randint(((size + 1) // 2, 1), -(2**31), 2**31 - 1, "int32", seed)
    halves = ops.reshape(ops.view(words, "int16"), (-1,))[:size]
    return ops.reshape(ops.greater_equal(halves, round(rate * _STEPS) - _STEPS // 2), shape)


@keras.saving.register_keras_serializable(package="keras_transformer")
class Dropout(keras.layers.Layer):
    """In training `y = x * keep / (1 - rate)`, where keep is 0 with probability `rate`, else 1.

    Srivastava et al. 2014; scaled in training as in Keras' Dropout, so that the expectation of y
    is x and inference is the identity. The rate is rounded to a multiple of `2**-16`.

    Args:
        rate: fraction of the elements that become zero, at least 0 and below 1.
        seed: integer, or None for Keras' global seed.

    Raises:
        ValueError: if the rate is not at least 0 and below 1.
    """

    def __init__(self, rate, *, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        if not 0 <= rate < 1:
            raise ValueError(f"Expected rate to be at least 0 and below 1, got rate={rate}.")
        self.rate = rate
        self.seed = seed
        self.rounded_rate = min(round(rate * _STEPS), _STEPS - 1) / _STEPS
        if self.rounded_rate:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None):
        if not training or not self.rounded_rate:
            return inputs
        keep = keep_mask(self._shape(inputs), self.rounded_rate, self.seed_generator)
        return inputs * (ops.cast(keep, inputs.dtype) * (1.0 / (1.0 - self.rounded_rate)))

    def _shape(self, inputs):
        return ops.shape(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class StochasticDepth(Dropout):
    """In training `y = x * keep / (1 - rate)`, where keep is one number for each row of a batch.

    Where it is 0, the sublayer before a residual sum is left out of that row (Huang et al. 2016,
    arXiv:1603.09382; scaled in training, so that inference is the identity).

    Args:
        rate, seed: see `Dropout`.

    Raises:
        ValueError: see `Dropout`.
    """

    def _shape(self, inputs):
        return (ops.shape(inputs)[0], *(1,) * (len(inputs.shape) - 1))
