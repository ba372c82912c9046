"""Images and spectrograms as sequences: patches of numbers, and their positions."""

import keras
import numpy as np
from keras import ops

from keras_transformer.bits import tanh_range
from keras_transformer.masks import IMPERCEPTIBLE
from keras_transformer.positions import sinusoid
from keras_transformer.quantization import QuantizedLayer

# Pixels from 0 to 255 become numbers from -1 to 127/128, which 8 bits hold exactly.
PIXEL_CENTER = 128.0


@keras.saving.register_keras_serializable(package="keras_transformer")
class Pixels(QuantizedLayer):
    """Converts pixels `v` from 0 to 255 to `(v - 128) / 128`, which an integer device stores.

    Args:
        bits: bit widths, see `QuantizedLayer`; `activation_bits` is that of the pixels.
    """

    def __init__(self, *, bits=None, **kwargs):
        super().__init__(bits=bits, **kwargs)
        # Whole numbers up to 255: Keras would cast the inputs to half precision before they are
        # centered, which holds them, too, but not what is divided by 128.
        self.autocast = False

    def build(self, input_shape):
        self.point = self._point("point", self.activation_bits, **tanh_range(self.activation_bits))

    def call(self, inputs, training=None):
        """Returns (B, H, W, C) for (B, H, W, C)."""
        x = (ops.cast(inputs, "float32") - PIXEL_CENTER) / PIXEL_CENTER
        return self.point(ops.cast(x, self.compute_dtype), training=training)

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_transformer")
class Patches(keras.layers.Layer):
    """Divides images into patches (Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.1).

    A projection of the patches is the convolution whose kernel (patch, patch, C, D) is the
    projection's (patch * patch * C, D).

    Args:
        patch: side of a patch in pixels.
        class_token: whether a patch of zeros comes before all others, in the place of
            `PatchPositions`' token.
    """

    def __init__(self, patch, *, class_token=False, **kwargs):
        super().__init__(**kwargs)
        self.patch = patch
        self.class_token = class_token

    def call(self, inputs):
        """Returns (B, T, patch * patch * C) for (B, H, W, C), in reading order, also in a patch.

        T is the number of patches, and one more with a class token.
        """
        height, width, channels = inputs.shape[1:]
        rows, columns, side = height // self.patch, width // self.patch, self.patch
        x = ops.reshape(inputs, (-1, rows, side, columns, side * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4))
        x = ops.reshape(x, (-1, rows * columns, side * side * channels))
        return ops.pad(x, ((0, 0), (1, 0), (0, 0))) if self.class_token else x

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        places = (height // self.patch) * (width // self.patch) + self.class_token
        return batch, places, self.patch**2 * channels

    def get_config(self):
        return {**super().get_config(), "patch": self.patch, "class_token": self.class_token}


@keras.saving.register_keras_serializable(package="keras_transformer")
class SpectrogramPatches(keras.layers.Layer):
    """Divides spectrograms into patches that overlap (Gong et al. 2021, arXiv:2104.01778).

    Only slices, reshapes and transpositions are used; of a spectrogram the ends that fill no patch
    are left out.

    Args:
        frames, bands: sides of a patch.
        overlap: frames, and bands, that a patch shares with the next one.
        class_token: see `Patches`.
        gathers: whether patches are gathered instead, see `gathered_windows`.
    """

    def __init__(
        self, frames, bands, *, overlap=0, class_token=False, gathers=False, **kwargs
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.gathers = gathers
        self.frames = frames
        self.bands = bands
        self.overlap = overlap
        self.class_token = class_token

    def _counts(self, shape):
        """Numbers of patches along the frames and along the bands."""
        sides = (self.frames, self.bands)
        return [
            1 + (size - side) // (side - self.overlap)
            for size, side in zip(shape[1:], sides, strict=True)
        ]

    def call(self, inputs):
        """Returns (B, T, frames * bands) for (B, frames of a sound, all its bands).

        T is the number of patches, those of the first frames first, and one more with a class
        token; a patch has its bands frame by frame.
        """
        times, heights = self._counts(inputs.shape)
        all_bands = inputs.shape[2]
        x = self._windows(inputs, times, self.frames)
        x = ops.reshape(x, (-1, times * self.frames, all_bands))
        x = self._windows(ops.transpose(x, (0, 2, 1)), heights, self.bands)
        x = ops.reshape(x, (-1, heights * self.bands, times, self.frames))
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, heights, self.bands, self.frames))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2)), (-1, times * heights, self._size))
        return ops.pad(x, ((0, 0), (1, 0), (0, 0))) if self.class_token else x

    @property
    def _size(self):
        return self.frames * self.bands

    def _windows(self, x, count, length):
        """(B, count, length, C) of (B, N, C), each so far from the last as patches are."""
        step, width = length - self.overlap, x.shape[2]
        if self.gathers:
            return gathered_windows(x, count, length, step)
        pieces = -(-length // step)
        needed = (count + pieces - 1) * step
        missing = needed - x.shape[1]
        # What is added is cut off again, with the end of the last window.
        x = ops.pad(x, ((0, 0), (0, missing), (0, 0))) if missing > 0 else x[:, :needed]
        x = ops.reshape(x, (-1, count + pieces - 1, step, width))
        x = ops.concatenate([x[:, one : one + count] for one in range(pieces)], axis=2)
        return x[:, :, :length]

    def compute_output_shape(self, input_shape):
        times, heights = self._counts(input_shape)
        return input_shape[0], times * heights + self.class_token, self._size

    def get_config(self):
        own = ("frames", "bands", "overlap", "class_token", "gathers")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def gathered_windows(x, count, length, step):
    """Returns windows (B, count, length, ...) of (B, N, ...), of which each begins a step later.

    It is slower than to lay slices side by side, for which the converter has no int16.
    """
    return ops.take(x, step * np.arange(count)[:, None] + np.arange(length), axis=1)


@keras.saving.register_keras_serializable(package="keras_transformer")
class PatchPositions(QuantizedLayer):
    """Adds to each patch the bias of its projection and its position; a class token is first.

    Dosovitskiy et al. 2021, equation 1, where the projection of the patches has a bias:
    `[token; x_1 + b; ...; x_N + b] + positions`. All that is added is one table, which a device
    stores, and the place of the token is filled with zeros before (see `Patches`).

    Args:
        class_token: whether the first place is that of a learned vector.
        learned: whether positions are learned; otherwise those of `positions.sinusoid`.
        initializer_stddev: standard deviation of the truncated normal that initializes the learned
            vectors.
        stored: whether a device that stores what matmuls read stores the sums too, and with them
            the table.
        bits: `inner_bits` is the width of the table, or `activation_bits` of one that is stored.
    """

    def __init__(
        self, *, class_token=True, learned=True, initializer_stddev=0.02, stored=False, bits=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(bits=bits, **kwargs)
        self.stored = stored
        self.class_token = class_token
        self.learned = learned
        self.initializer_stddev = initializer_stddev

    def build(self, input_shape):
        _, length, width = input_shape
        normal = keras.initializers.TruncatedNormal(stddev=self.initializer_stddev)
        if self.learned:
            self.embeddings = self.add_weight(
                name="embeddings", shape=(length, width), initializer=normal
            )
        else:
            self.embeddings = sinusoid(length, width)
        if self.class_token:
            self.token = self.add_weight(name="token", shape=(width,), initializer=normal)
        self.bias = self.add_weight(name="bias", shape=(width,), initializer="zeros")
        self.point = self._point(
            "point", self.activation_bits if self.stored else self.inner_bits
        )  # fmt: skip

    def call(self, inputs, training=None):
        """Returns (B, T, D) for (B, T, D)."""
        table = ops.convert_to_tensor(self.embeddings)
        bias = ops.convert_to_tensor(self.bias)
        if self.class_token:
            first = table[:1] + ops.convert_to_tensor(self.token)
            table = ops.concatenate([first, table[1:] + bias], axis=0)
        else:
            table = table + bias
        table = self.point(ops.cast(table, self.compute_dtype), training=training)
        if self.stored and (self.activation_bits or 0) > 8:
            # The converter would add a table of 8 bits to what has more, which no op does. Of a sum
            # it knows no range, and leaves it in float.
            return (inputs + table) + IMPERCEPTIBLE
        return inputs + table

    def compute_output_shape(self, input_shape):
        return input_shape
