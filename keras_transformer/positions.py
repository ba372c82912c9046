"""Positional encodings: added tables, rotary embeddings and biases of the attention scores."""

import math

import keras
import numpy as np
from keras import ops

from keras_transformer.bits import symmetric_range
from keras_transformer.quantization import QuantizedLayer
from keras_transformer.room import within


def sinusoid(length, width, max_wavelength=10_000.0):
    """Returns the (length, width) table of Vaswani et al. 2017, section 3.5, as a NumPy array.

    Even columns are sines and odd columns cosines of the same frequency.
    """
    position = np.arange(length)[:, None]
    column = np.arange(width)[None, :]
    angle = position / max_wavelength ** (2 * (column // 2) / width)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle)).astype("float32")


def _added(table, inputs, start):
    """Inputs (B, T, D) plus the rows `start` to `start + T` of a (P, D) table."""
    length = ops.shape(inputs)[1]
    inputs = within(inputs, start, length, table.shape[0], ("start", "max_length"))
    return inputs + ops.slice(table, (start, 0), (length, table.shape[1]))


@keras.saving.register_keras_serializable(package="keras_transformer")
class SinusoidalPositionalEncoding(QuantizedLayer):
    """Adds fixed sines and cosines to (B, T, D) (Vaswani et al. 2017, section 3.5).

    Args:
        max_length: number of positions, the longest T.
        max_wavelength: wavelength of the slowest column, in positions over 2 pi.
        bits: `inner_bits` is the width of the table.

    Raises:
        ValueError: if the inputs extend beyond `max_length`.
    """

    def __init__(self, max_length, *, max_wavelength=10_000.0, bits=None, **kwargs):
        super().__init__(bits=bits, **kwargs)
        self.max_length = max_length
        self.max_wavelength = max_wavelength

    def build(self, input_shape):
        self.table = sinusoid(self.max_length, input_shape[-1], self.max_wavelength)
        self.point = self._point("point", self.inner_bits, **symmetric_range(self.inner_bits))

    def call(self, inputs, start=0):
        """Adds the encodings of positions `start` to `start + T`."""
        table = self.point(ops.convert_to_tensor(self.table, dtype=self.compute_dtype))
        return _added(table, inputs, start)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class LearnedPositionalEncoding(QuantizedLayer):
    """Adds a learned vector for each position to (B, T, D) (Gehring et al. 2017; BERT).

    Args:
        max_length: number of positions, the longest T.
        bits: `inner_bits` is the width of the table.

    Raises:
        ValueError: if the inputs extend beyond `max_length`.
    """

    def __init__(self, max_length, *, initializer_stddev=0.02, bits=None, **kwargs):
        super().__init__(bits=bits, **kwargs)
        self.max_length = max_length
        self.initializer_stddev = initializer_stddev

    def build(self, input_shape):
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.max_length, input_shape[-1]),
            initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_stddev),
        )
        self.point = self._point("point", self.inner_bits)

    def call(self, inputs, start=0, training=None):
        """Adds the vectors of positions `start` to `start + T`."""
        table = self.point(ops.cast(self.embeddings, self.compute_dtype), training=training)
        return _added(table, inputs, start)

    def compute_output_shape(self, input_shape):
        return input_shape


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
class RotaryEmbedding(keras.layers.Layer):
    """Rotates pairs of columns by an angle proportional to the position (Su et al. 2021).

    arXiv:2104.09864, with column i paired with column i + R/2 of the R rotated ones, as in Llama.
    The dot product of a rotated query and a rotated key depends only on their distance.

    Args:
        max_wavelength: base of the geometric series of wavelengths, theta.
        scaling: Llama 3's slowing of long waves, the arguments of `slowed`; None for none.
        fraction: share of the K columns that is rotated, the first ones (GPT-NeoX).
    """

    def __init__(self, *, max_wavelength=10_000.0, scaling=None, fraction=1.0, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.max_wavelength = max_wavelength
        self.scaling = scaling
        self.fraction = fraction

    def call(self, inputs, start=0, axis=2):
        """Rotates inputs (B, H, T, K), or (B, T, H, K) with `axis=1`, starting at position `start`.

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

    def compute_output_shape(self, input_shape):
        return input_shape


def _distance(query, memory, start):
    """(T, S): source position minus target position."""
    memory = query if memory is None else memory
    target = ops.expand_dims(ops.arange(ops.shape(query)[1]) + start, 1)
    return ops.expand_dims(ops.arange(ops.shape(memory)[1]), 0) - target


@keras.saving.register_keras_serializable(package="keras_transformer")
class RelativePositionBias(keras.layers.Layer):
    """Learned bias of the scores for each head and bucket of distances (T5).

    Raffel et al. 2020, arXiv:1910.10683, section 2.1: half of the buckets are exact distances,
    the other half grow logarithmically up to `max_distance`.

    Args:
        num_heads: H.
        num_buckets: number of learned values of a head.
        max_distance: distance from which all share the last bucket.
        bidirectional: whether later positions have buckets of their own (encoders).
    """

    def __init__(
        self, num_heads, *, num_buckets=32, max_distance=128, bidirectional=True, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional

    def build(self, query_shape):
        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.num_buckets, self.num_heads),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )  # fmt: skip

    def call(self, query, memory=None, start=0):
        """Returns (1, H, T, S) for query (B, T, D) and memory (B, S, D'), the query by default."""
        bucket = self._bucket(_distance(query, memory, start))
        bias = ops.take(ops.convert_to_tensor(self.embeddings), bucket, axis=0)
        return ops.expand_dims(ops.transpose(bias, (2, 0, 1)), 0)

    def compute_mask(self, inputs, previous_mask):
        return None

    def _bucket(self, distance):
        """Bucket number of each distance, both (T, S)."""
        buckets, offset = self.num_buckets, 0
        if self.bidirectional:
            buckets //= 2
            offset = ops.cast(ops.greater(distance, 0), "int32") * buckets
            distance = ops.abs(distance)
        else:
            distance = ops.maximum(-distance, 0)
        exact = buckets // 2
        ratio = ops.cast(ops.maximum(distance, 1), "float32") / exact
        far = ops.log(ratio) * ((buckets - exact) / math.log(self.max_distance / exact))
        far = ops.minimum(exact + ops.cast(ops.floor(far), "int32"), buckets - 1)
        return offset + ops.where(distance < exact, ops.cast(distance, "int32"), far)


def alibi_slopes(num_heads):
    """Returns the H slopes of Press et al. 2022, arXiv:2108.12409, as in their released code.

    For a power of two they are 2^(-8/H), 2^(-16/H), ...; else those of the next lower power of
    two, and then every second one of the next higher.
    """
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    between = [2 ** (-4 * (i + 1) / power) for i in range(0, 2 * power, 2)]
    return np.array(slopes + between[: num_heads - power], dtype="float32")


@keras.saving.register_keras_serializable(package="keras_transformer")
class AlibiBias(keras.layers.Layer):
    """Bias of the scores: minus the distance times the head's slope (Press et al. 2022, section 3).

    Args:
        num_heads: H.
    """

    def __init__(self, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads

    def call(self, query, memory=None, start=0):
        """Returns (1, H, T, S) for query (B, T, D) and memory (B, S, D'), the query by default."""
        distance = ops.cast(ops.abs(_distance(query, memory, start)), self.compute_dtype)
        slopes = ops.convert_to_tensor(-alibi_slopes(self.num_heads), dtype=self.compute_dtype)
        return ops.expand_dims(ops.reshape(slopes, (-1, 1, 1)) * distance, 0)

    def compute_mask(self, inputs, previous_mask):
        return None


POSITION_BIASES = {"t5": RelativePositionBias, "alibi": AlibiBias}


def make_position_bias(kind, num_heads, *, bidirectional, **kwargs):
    """Returns the layer of a bias of the scores with the given name.

    Args:
        kind: `t5` or `alibi`.
        num_heads: H.
        bidirectional: see `RelativePositionBias`.

    Raises:
        ValueError: if the name is unknown.
    """
    if kind not in POSITION_BIASES:
        raise ValueError(
            f"Expected position_bias to be None or one of {', '.join(POSITION_BIASES)}, "
            f"got position_bias={kind!r}."
        )
    direction = {"bidirectional": bidirectional} if kind == "t5" else {}
    return POSITION_BIASES[kind](num_heads, **direction, **kwargs)
