"""Positional encodings: added tables and biases of the attention scores."""

import math

import keras
import numpy as np
from keras import ops

from keras_transformer.bits import symmetric_range
from keras_transformer.quantization import QuantizedLayer
from keras_transformer.room import known, within

# Lower biases of distant positions would make the stored steps of near ones coarse. To a softmax,
# whose probabilities are stored in steps of 1/256, they are the same.
LOWEST_STORED_BIAS = -16.0


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


class _PositionBias(QuantizedLayer):
    """Base of the biases of the scores that depend on the distance of two positions.

    Args:
        num_heads: H.
        bits: `inner_bits` is the width of the stored biases.
    """

    def __init__(self, num_heads, *, bits=None, **kwargs):
        super().__init__(bits=bits, **kwargs)
        self.num_heads = num_heads

    def build(self, query_shape):
        self.point = self._point("point", self.inner_bits)

    def call(self, query, memory=None, start=0, training=None):
        """Returns (1, H, T, S) for query (B, T, D) and memory (B, S, D'), the query by default."""
        length = ops.shape(query)[1]
        room = length if memory is None else ops.shape(memory)[1]
        target = ops.expand_dims(ops.arange(length) + start, 1)
        distance = ops.expand_dims(ops.arange(room), 0) - target
        if self.inner_bits is None or known(start) is not None:
            bias = self.point(self._of_distance(distance), training=training)
        else:
            # A device stores the biases of all distances, and looks up those from this start on.
            table = self._of_distance(ops.arange(1 - room, room))
            table = self.point(table, training=training)
            bias = ops.take(table, distance + (room - 1), axis=0)
        return ops.expand_dims(ops.transpose(bias, (2, 0, 1)), 0)

    def _of_distance(self, distance):
        """(..., H) for the integers source position minus target position."""
        raise NotImplementedError

    def compute_mask(self, inputs, previous_mask):
        return None


@keras.saving.register_keras_serializable(package="keras_transformer")
class RelativePositionBias(_PositionBias):
    """Learned bias of the scores for each head and bucket of distances (T5).

    Raffel et al. 2020, arXiv:1910.10683, section 2.1: half of the buckets are exact distances,
    the other half grow logarithmically up to `max_distance`.

    Args:
        num_heads: H.
        num_buckets: number of learned values of a head.
        max_distance: distance from which all share the last bucket.
        bidirectional: whether later positions have buckets of their own (encoders).
        bits: see `QuantizedLayer`; a device stores the biases with `inner_bits`.
    """

    def __init__(
        self, num_heads, *, num_buckets=32, max_distance=128, bidirectional=True, **kwargs
    ):
        super().__init__(num_heads, **kwargs)
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional

    def build(self, query_shape):
        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.num_buckets, self.num_heads),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )  # fmt: skip
        super().build(query_shape)

    def _of_distance(self, distance):
        return ops.take(ops.convert_to_tensor(self.embeddings), self._bucket(distance), axis=0)

    def _bucket(self, distance):
        """Bucket number of each distance, of the same shape."""
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
class AlibiBias(_PositionBias):
    """Bias of the scores: minus the distance times the head's slope (Press et al. 2022, section 3).

    Args:
        num_heads: H.
        bits: see `QuantizedLayer`; a device stores the biases with `inner_bits`, none of them
            lower than `LOWEST_STORED_BIAS`.
    """

    def _of_distance(self, distance):
        distance = ops.cast(ops.abs(distance), self.compute_dtype)
        slopes = ops.convert_to_tensor(-alibi_slopes(self.num_heads), dtype=self.compute_dtype)
        bias = ops.expand_dims(distance, -1) * slopes
        return bias if self.inner_bits is None else ops.maximum(bias, LOWEST_STORED_BIAS)


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
