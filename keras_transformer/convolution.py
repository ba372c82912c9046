"""Convolution whose kernel is rounded as a device stores it."""

import math

import keras
from keras import ops

from keras_transformer.decisions import WIDE_BITS
from keras_transformer.quantization import KernelLayer

CHANNELS_LAST = "channels_last"


@keras.saving.register_keras_serializable(package="keras_transformer")
class Convolution(KernelLayer):
    """Two-dimensional convolution of images (B, height, width, C), padded with zeros.

    The kernel is (h, w, C, units), and the output `ceil(size / stride)` places high and wide. Each
    unit's part of the kernel has a scale of its own. Where a device rounds inputs as it runs, it
    rounds each image as a whole: measured with LiteRT 2.3, with XNNPACK and without. Kernels have
    at least 8 bits, since runtimes have no convolutions with narrower ones.

    Args:
        units: number of output channels.
        kernel_size: h and w.
        stride: distance between neighbouring places of the output in both directions.
        **kwargs: `use_bias`, `kernel_initializer` and `bits`, see `KernelLayer`.

    Raises:
        ValueError: if the bits are impossible, or a size is not at least 1.
    """

    def __init__(self, units, *, kernel_size=3, stride=1, **kwargs):
        super().__init__(units, **kwargs)
        check_sizes(units=units, kernel_size=kernel_size, stride=stride)
        self.kernel_size = kernel_size
        self.stride = stride
        if self.kernel_bits is not None:
            self.kernel_bits, self.kernel_block = max(self.kernel_bits, WIDE_BITS), None

    def build(self, input_shape):
        # Places of the output in one image, where its size is known.
        _, *sizes, _ = self.compute_output_shape(input_shape)
        self.num_places = None if None in sizes else math.prod(sizes)
        self._add_kernel((self.kernel_size, self.kernel_size, input_shape[-1], self.units))

    def call(self, inputs):
        if self.observer is not None:
            self.observer(self, inputs)
        outputs = ops.conv(
            self._rounded_rows(inputs), self._multiplied(), strides=self.stride, padding="same",
            data_format=CHANNELS_LAST,
        )  # fmt: skip
        outputs = outputs + self.bias if self.use_bias else outputs
        return outputs if self.factor == 1.0 else outputs * self.factor

    def rows_read(self, inputs):
        """The images, float32 where the device rounds them."""
        if self.kernel_bits is None or not self.rounds_rows:
            return inputs
        images = ops.reshape(inputs, (-1, math.prod(inputs.shape[1:])))
        return ops.reshape(self._round_rows(images, self.row_bits), (-1, *inputs.shape[1:]))

    def windows(self, images):
        """Returns the inputs (B, height, width, h * w * C) of each place of the output."""
        return ops.image.extract_patches(
            images, self.kernel_size, self.stride, padding="same", data_format=CHANNELS_LAST
        )

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, places(height, self.stride), places(width, self.stride), self.units)


def places(size, stride):
    """Returns the places of a padded convolution or pooling along an axis."""
    return None if size is None else -(-size // stride)


def check_sizes(**sizes):
    """Raises ValueError if a size is not at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"Expected {name} to be at least 1, got {name}={size}.")
