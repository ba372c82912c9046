"""Projections whose kernel is the product of two narrow ones."""

import keras

from keras_transformer.quantization import Projection, QuantizedLayer


@keras.saving.register_keras_serializable(package="keras_transformer")
class LowRankProjection(QuantizedLayer):
    """`y = ((x A) B + b) factor` over the last axis; A is (inputs, R) and B is (R, units).

    Args:
        units: width of the output.
        rank: width between the factors, R.
        use_bias: whether `b` exists.
        factor: constant factor of the output, see `Projection`.
        bits: bit widths; `kernel_bits`, `kernel_block` and `row_bits` of both factors, and
            `activation_bits` of the tensor between them.
    """

    def __init__(self, units, *, rank, use_bias=True, factor=1.0, bits=None, **kwargs):
        super().__init__(bits=bits, **kwargs)
        self.units = units
        self.rank = rank
        self.use_bias = use_bias
        self.factor = factor

    def build(self, input_shape):
        kwargs = {"bits": self.bits, "dtype": self.dtype_policy}
        self.reduce = Projection(self.rank, use_bias=False, name="reduce", **kwargs)
        self.reduced_point = self._point("reduced_point", self.activation_bits)
        self.expand = Projection(
            self.units, use_bias=self.use_bias, factor=self.factor, name="expand", **kwargs
        )
        self.reduce.build(input_shape)
        self.expand.build((*input_shape[:-1], self.rank))

    def call(self, inputs, training=None):
        return self.expand(self.reduced_point(self.reduce(inputs), training=training))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


def is_smaller(rank, inputs, units):
    """Whether two factors of a rank have fewer parameters than the kernel (inputs, units)."""
    return rank * (inputs + units) < inputs * units


def make_projection(units, inputs, *, rank=0, **kwargs):
    """Returns a low-rank projection where it has fewer parameters, else a plain one.

    Args:
        units, inputs: widths of the output and of the input.
        rank: rank of the factors; 0 for a plain projection.
        **kwargs: further arguments of `Projection`.
    """
    if rank and is_smaller(rank, inputs, units):
        return LowRankProjection(units, rank=rank, **kwargs)
    return Projection(units, **kwargs)
