"""Outputs in the units of the targets, of a head that computes standardized ones."""

import keras


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
