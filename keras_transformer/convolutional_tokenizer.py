"""The convolutional tokenizer of compact Transformers: images as a series of vectors."""

import keras
from keras import ops

from keras_transformer.convolution import CHANNELS_LAST, Convolution, check_sizes, places
from keras_transformer.quantization import QuantizedLayer


@keras.saving.register_keras_serializable(package="keras_transformer")
class ConvolutionalTokenizer(QuantizedLayer):
    """Converts images (B, height, width, C) to vectors (B, T, units).

    Each layer is `max_pool(relu(conv(x)))`, and the places of the last one are the T vectors, row
    by row (Hassani et al. 2021, arXiv:2104.05704, section 3.3). Sizes are `ceil(size / stride)`
    after each stride: the padding is TensorFlow's `same`, with which windows of stride 2 on an even
    size start at the first row, not before it as with the symmetric padding of the paper's code.

    A device stores the output of each relu; its maxima are stored as they are.

    Args:
        units: D.
        num_layers: number of convolutions.
        inner_units: number of channels of all layers but the last.
        kernel_size, stride: of the convolutions.
        pool_size, pool_stride: of the maxima.
        use_bias: whether the convolutions have a bias.
        bits: bit widths; `activation_bits` of the outputs, and those of `Convolution`.

    Raises:
        ValueError: if the bits are impossible, or a size is not at least 1.
    """

    def __init__(
        self, units, *, num_layers=1, inner_units=64, kernel_size=3, stride=1, pool_size=3,
        pool_stride=2, use_bias=False, bits=None, **kwargs,
    ):  # fmt: skip
        super().__init__(bits=bits, **kwargs)
        check_sizes(num_layers=num_layers, pool_size=pool_size, pool_stride=pool_stride)
        self.units = units
        self.pool_size = pool_size
        self.pool_stride = pool_stride
        self.convolutions = [
            Convolution(
                inner_units if number < num_layers - 1 else units, kernel_size=kernel_size,
                stride=stride, use_bias=use_bias, kernel_initializer="he_normal", bits=bits,
                dtype=self.dtype_policy, name=f"convolution_{number}",
            )
            for number in range(num_layers)
        ]  # fmt: skip

    def build(self, input_shape):
        self.points = []
        for number, convolution in enumerate(self.convolutions):
            convolution.build(input_shape)
            self.points.append(self._point(f"point_{number}", self.activation_bits))
            input_shape = self._pooled_shape(convolution.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        x = inputs
        for convolution, point in zip(self.convolutions, self.points, strict=True):
            x = point(ops.relu(convolution(x)), training=training)
            x = ops.max_pool(x, self.pool_size, self.pool_stride, "same", data_format=CHANNELS_LAST)
        _, height, width, units = x.shape
        return ops.reshape(x, (-1, height * width, units))

    def _pooled_shape(self, shape):
        batch, height, width, units = shape
        return batch, places(height, self.pool_stride), places(width, self.pool_stride), units

    def compute_output_shape(self, input_shape):
        for convolution in self.convolutions:
            input_shape = self._pooled_shape(convolution.compute_output_shape(input_shape))
        batch, height, width, units = input_shape
        return batch, height * width, units
