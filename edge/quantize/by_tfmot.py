"""Ranges by tensorflow-model-optimization and TensorFlow's own op for simulated rounding.

Importing tfmot takes seconds and changes which Keras `tensorflow` exposes.
"""

import tensorflow as tf
from tensorflow_model_optimization.python.core.quantization.keras.quant_ops import MovingAvgQuantize

from keras_transformer.quantization import QuantPoint


def averaged(point: QuantPoint, inputs: tf.Tensor, training: bool, decay) -> tf.Tensor:
    """Returns the rounded inputs; in training the bounds first follow the inputs' own."""
    return MovingAvgQuantize(
        inputs, point.range_min.value, point.range_max.value, ema_decay=decay,
        is_training=training, num_bits=point.bits, symmetric=point.symmetric,
    )  # fmt: skip


def forward(inputs: tf.Tensor, low: tf.Tensor, high: tf.Tensor, bits: int) -> tf.Tensor:
    """Returns the inputs on the grid of `2**bits` values between two bounds."""
    return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high, num_bits=bits)


def backward(upstream: tf.Tensor, inputs: tf.Tensor, low: tf.Tensor, high: tf.Tensor, bits: int):
    """Returns the gradients of the inputs and of both bounds."""
    return tf.quantization.fake_quant_with_min_max_vars_gradient(
        upstream, inputs, low, high, num_bits=bits
    )
