"""Rotary embeddings: queries and keys rotated by their positions."""

import math

import keras
import numpy as np
from keras import ops

from keras_transformer.quantization import QuantizedLayer
from keras_transformer.room import known


def rotated_columns(width, fraction):
    """Returns the number of columns of a head of a width that are rotated."""
    return int(width * fraction)


def slowed(frequency, *, factor, low_freq_factor, high_freq_factor, original_length):
    """Returns the frequencies of Llama 3.1, whose long waves are longer by a factor.

    Dubey et al. 2024, arXiv:2407.21783, section 3.2, as in the released code. Waves with less than
    `low_freq_factor` turns in the original length are slowed, those with more than
    `high_freq_factor` are not, and those between partly.

    Args:
        frequency: radians in a position, an array.
        factor: what the slowest frequencies are divided by.
        low_freq_factor, high_freq_factor: numbers of turns, the second above the first.
        original_length: number of positions that the model was trained on at first.
    """
    turns = original_length * frequency / (2 * math.pi)
    kept = np.clip((turns - low_freq_factor) / (high_freq_factor - low_freq_factor), 0.0, 1.0)
    return (frequency * (kept + (1.0 - kept) / factor)).astype("float32")


@keras.saving.register_keras_serializable(package="keras_transformer")
class RotaryEmbedding(QuantizedLayer):
    """Rotates pairs of columns by an angle proportional to the position (Su et al. 2021).

    arXiv:2104.09864, with column i paired with column i + R/2 of the R rotated ones, as in Llama.
    The dot product of a rotated query and a rotated key depends only on their distance.

    A device that stores what it computes has `x * cosines + swap(x) * sines`, where `swap`
    exchanges the columns of each pair and the sines of the first ones are negative: two products.

    Args:
        max_wavelength: base of the geometric series of wavelengths, theta.
        scaling: Llama 3's slowing of long waves, the arguments of `slowed`; None for none.
        fraction: share of the K columns that is rotated, the first ones (GPT-NeoX).
        bits: `inner_bits` is the width of the sines, the cosines and the products.
    """

    def __init__(
        self, *, max_wavelength=10_000.0, scaling=None, fraction=1.0, bits=None, **kwargs
    ):
        super().__init__(bits=bits, **kwargs)
        self.max_wavelength = max_wavelength
        self.scaling = scaling
        self.fraction = fraction

    def build(self, input_shape):
        # Ranges that are no weights would be constants, and the converter would compute and store
        # rounded tables in steps of their own.
        bits = self.inner_bits
        self.cosine_point = self._point("cosine_point", bits, symmetric=True)
        self.sine_point = self._point("sine_point", bits, symmetric=True)
        self.kept_point = self._point("kept_point", bits)
        self.swapped_point = self._point("swapped_point", bits)

    def call(self, inputs, start=0, axis=2, room=None, training=None):
        """Rotates inputs (B, H, T, K), or (B, T, H, K) with `axis=1`, starting at position `start`.

        Args:
            inputs: the queries or keys.
            start: position of the first, an integer.
            axis: axis of the positions.
            room: number of all positions, such as a cache's. A device stores the sines of all of
                them where `start` is an input; without it, they are computed for the T positions.

        Raises:
            ValueError: if the number of rotated columns is odd.
        """
        width = rotated_columns(inputs.shape[-1], self.fraction)
        if width % 2:
            raise ValueError(f"Expected an even head width to rotate, got K={width}.")
        half = width // 2
        frequency = self.max_wavelength ** (-np.arange(half, dtype="float32") / half)
        if self.scaling:
            frequency = slowed(frequency, **self.scaling)
        if self.inner_bits is not None:
            return self._of_integers(inputs, frequency, start, axis, room, training)
        # The left half of a pair turns by the negative sine.
        frequency = np.concatenate([-frequency, frequency]).astype("float32")
        position = ops.cast(ops.arange(ops.shape(inputs)[axis]) + start, "float32")
        angle = ops.expand_dims(position, 1) * ops.convert_to_tensor(frequency)
        if axis == 1:
            angle = ops.expand_dims(angle, 1)
        cosine = ops.cast(ops.cos(angle), self.compute_dtype)
        sine = ops.cast(ops.sin(angle), self.compute_dtype)
        # Few ops: a file runs them in each block for each token.
        x, rest = inputs, []
        if width < inputs.shape[-1]:
            x, *rest = ops.split(inputs, [width], axis=-1)
        left, right = ops.split(x, 2, axis=-1)
        x = x * cosine + ops.concatenate([right, left], axis=-1) * sine
        return ops.concatenate([x, *rest], axis=-1) if rest else x

    def _of_integers(self, x, frequency, start, axis, room, training):
        cosines, sines = self._tables(
            frequency, x.shape[-1], ops.shape(x)[axis], start, room, training
        )
        if axis == 1:
            cosines, sines = ops.expand_dims(cosines, 1), ops.expand_dims(sines, 1)
        half = len(frequency)
        parts = [half, 2 * half] if 2 * half < x.shape[-1] else 2
        left, right, *rest = ops.split(x, parts, axis=-1)
        swapped = ops.concatenate([right, left, *rest], axis=-1)
        kept = self.kept_point(x * cosines, training=training)
        return kept + self.swapped_point(swapped * sines, training=training)

    def _tables(self, frequency, width, length, start, room, training):
        """Stored cosines and sines (T, K) of the positions from `start` on."""
        # With a start that only a run knows, they are a slice of all that may be asked for.
        is_sliced = known(start) is None and room is not None
        first, count = (0, room) if is_sliced else (start, length)
        position = ops.cast(ops.arange(count) + first, "float32")
        angle = ops.expand_dims(position, 1) * ops.convert_to_tensor(frequency)
        cosine, sine = ops.cos(angle), ops.sin(angle)
        rest = ops.zeros((count, width - 2 * len(frequency)), "float32")
        cosines = ops.concatenate([cosine, cosine, 1.0 + rest], axis=1)
        sines = ops.concatenate([-sine, sine, rest], axis=1)
        tables = (
            self.cosine_point(cosines, training=training), self.sine_point(sines, training=training)
        )  # fmt: skip
        if is_sliced:
            tables = [ops.slice(table, (start, 0), (length, width)) for table in tables]
        return [ops.cast(table, self.compute_dtype) for table in tables]

    def compute_output_shape(self, input_shape):
        return input_shape
