"""Layers that follow all others of a model: units of numbers, lengths of vectors."""

import keras
from keras import ops

# The smallest length that a vector is divided by, as in TFLite's op.
LEAST_LENGTH = 1e-6


@keras.saving.register_keras_serializable(package="keras_transformer")
class InUnits(keras.layers.Layer):
    """`y = x deviation + mean`, in float32 whatever the layers before it compute in.

    It has no weights: a model of rounded or half-precision layers stores standardized numbers, and
    only its output is large.

    Args:
        mean, deviation: of the targets.
    """

    def __init__(self, mean=0.0, deviation=1.0, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mean = mean
        self.deviation = deviation

    def call(self, inputs):
        return inputs * self.deviation + self.mean

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class UnitLength(keras.layers.Layer):
    """`y = x / |x|` of vectors (B, D), in float32 whatever the layers before it compute in."""

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        squares = ops.sum(ops.square(inputs), axis=-1, keepdims=True)
        return inputs * ops.rsqrt(ops.maximum(squares, LEAST_LENGTH**2))

    def compute_output_shape(self, input_shape):
        return input_shape
