"""Projections whose kernel is the product of two narrow ones."""

import keras

from keras_transformer.quantization import Projection, QuantPoint


@keras.saving.register_keras_serializable(package="keras_transformer")
class LowRankProjection(keras.layers.Layer):
    """`y = (x A) B + b` over the last axis; A is (inputs, R) and B is (R, units).

    Args:
        units: width of the output.
        rank: R, the width between the factors.
        use_bias: whether `b` exists.
        kernel_bits, kernel_block: of both factors, see `Projection`.
        activation_bits: of what stands between them, see `QuantPoint`.
    """

    def __init__(
        self, units, *, rank, use_bias=True, kernel_bits=None, kernel_block=None,
        activation_bits=None, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = units
        self.rank = rank
        self.use_bias = use_bias
        self.kernel_bits = kernel_bits
        self.kernel_block = kernel_block
        self.activation_bits = activation_bits

    def build(self, input_shape):
        kwargs = {
            "kernel_bits": self.kernel_bits, "kernel_block": self.kernel_block,
            "dtype": self.dtype_policy,
        }  # fmt: skip
        self.reduce = Projection(self.rank, use_bias=False, name="reduce", **kwargs)
        self.reduced_point = QuantPoint(
            self.activation_bits, dtype=self.dtype_policy, name="reduced_point"
        )
        self.expand = Projection(self.units, use_bias=self.use_bias, name="expand", **kwargs)
        between = (*input_shape[:-1], self.rank)
        self.reduce.build(input_shape)
        self.reduced_point.build(between)
        self.expand.build(between)

    def call(self, inputs, training=None):
        return self.expand(self.reduced_point(self.reduce(inputs), training=training))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


def is_smaller(rank, inputs, units):
    """Whether two factors of a rank hold fewer numbers than the kernel (inputs, units)."""
    return rank * (inputs + units) < inputs * units


def make_projection(units, inputs, *, rank=0, activation_bits=None, **kwargs):
    """Returns a projection in two factors where that makes it smaller, else in one kernel.

    Args:
        units, inputs: widths of the output and of the input.
        rank: of the factors; 0 for no factors.
        activation_bits: of what stands between them.
        **kwargs: of `Projection`.
    """
    if rank and is_smaller(rank, inputs, units):
        return LowRankProjection(units, rank=rank, activation_bits=activation_bits, **kwargs)
    return Projection(units, **kwargs)
