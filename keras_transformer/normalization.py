"""Normalization over the hidden axis.

Means are written as a sum of `x * (1/D)`: written as `mean`, the TFLite converter turns the
first reduction of a quantized graph into an int8 MEAN that training never saw.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_transformer")
class LayerNorm(keras.layers.Layer):
    """`y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`.

    Ba et al. 2016, arXiv:1607.06450, section 3. Inputs and outputs are (..., D). Under mixed
    precision it computes in float32, with weights that were never rounded to less.
    """

    def __init__(self, *, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.epsilon = epsilon

    def build(self, input_shape):
        self.gamma = self.add_weight(
            name="gamma", shape=(input_shape[-1],), initializer="ones", autocast=False
        )
        self.beta = self.add_weight(
            name="beta", shape=(input_shape[-1],), initializer="zeros", autocast=False
        )

    def call(self, inputs):
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        x = ops.cast(inputs, dtype)
        share = 1.0 / x.shape[-1]
        centred = x - ops.sum(x * share, axis=-1, keepdims=True)
        variance = ops.sum(ops.square(centred) * share, axis=-1, keepdims=True)
        y = centred * ops.rsqrt(variance + self.epsilon)
        y = y * ops.cast(self.gamma, dtype) + ops.cast(self.beta, dtype)
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class RMSNorm(keras.layers.Layer):
    """`y = gamma * x / sqrt(mean(x**2) + epsilon)` (Zhang and Sennrich 2019, arXiv:1910.07467).

    Inputs and outputs are (..., D). Precision is as in `LayerNorm`.
    """

    def __init__(self, *, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.epsilon = epsilon

    def build(self, input_shape):
        self.gamma = self.add_weight(
            name="gamma", shape=(input_shape[-1],), initializer="ones", autocast=False
        )

    def call(self, inputs):
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        x = ops.cast(inputs, dtype)
        mean_square = ops.sum(ops.square(x) * (1.0 / x.shape[-1]), axis=-1, keepdims=True)
        y = x * ops.rsqrt(mean_square + self.epsilon) * ops.cast(self.gamma, dtype)
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape


NORMS = {"layer_norm": LayerNorm, "rms_norm": RMSNorm}


def make_norm(kind, **kwargs):
    """Returns the normalization layer of that name.

    Raises:
        ValueError: for an unknown name.
    """
    if kind not in NORMS:
        raise ValueError(f"Expected norm to be one of {', '.join(NORMS)}, got norm={kind!r}.")
    return NORMS[kind](**kwargs)
