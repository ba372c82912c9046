"""Token and segment embeddings, and the logits tied to them."""

from contextlib import contextmanager

import keras
from keras import ops

from keras_transformer.initial import initializer_or
from keras_transformer.quantization import QuantizedLayer
from keras_transformer.rounding import round_table, straight_through

TABLE_BITS = 8
# Rows of a table that are rounded at a time: the steps between take several times its memory.
_ROWS = 4096


def as_ids(inputs):
    """Casts ids to integers for the look-up; Keras builds a subclassed model with floats."""
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    return inputs if dtype in ("int32", "int64") else ops.cast(inputs, "int32")


@keras.saving.register_keras_serializable(package="keras_transformer")
class TokenEmbedding(QuantizedLayer):
    """Looks up a vector for each id; with `logits=True` it multiplies by the same table.

    Vaswani et al. 2017, section 3.4; tying is Press and Wolf 2017, arXiv:1608.05859.

    Args:
        vocab_size: number of entries of the vocabulary, V.
        hidden_dim: width of the vectors, D.
        scale: factor of the vectors, for example sqrt(D).
        initializer_stddev: standard deviation of the truncated normal that initializes the table.
        logits_bias: whether a bias is added to the logits.
        bits: bit widths, see `QuantizedLayer`. A device stores the table once for the look-up and
            for the logits: with `activation_bits` in one symmetric range, or without them in 8 bits
            with a range for each row, whose look-ups are floats. With `row_bits` the inputs of the
            logits are rounded. The scaled vectors are an inner tensor.
    """

    def __init__(
        self, vocab_size, hidden_dim, *, scale=1.0, initializer_stddev=0.02, logits_bias=False,
        bits=None, **kwargs,
    ):  # fmt: skip
        super().__init__(bits=bits, **kwargs)
        # Ids may arrive as floats, and a half-precision float does not represent all of them.
        self.autocast = False
        self.vocab_size = vocab_size
        self.hidden_dim = hidden_dim
        self.scale = scale
        self.initializer_stddev = initializer_stddev
        self.logits_bias = logits_bias
        self._once_rounded = None

    def build(self, input_shape):
        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.vocab_size, self.hidden_dim),
            initializer=initializer_or(
                keras.initializers.TruncatedNormal(stddev=self.initializer_stddev)
            ),
        )  # fmt: skip
        if self.logits_bias:
            self.bias = self.add_weight(
                name="logits_bias", shape=(self.vocab_size,), initializer="zeros"
            )
        bits = None if self.activation_bits is None else min(self.activation_bits, TABLE_BITS)
        self.point = self._point("point", bits, symmetric=True)
        scaled_bits = self.inner_bits if self.scale != 1.0 else None
        self.scaled_point = self._point("scaled_point", scaled_bits)

    def call(self, inputs, *, logits=False, training=None):
        """Looks up ids, or multiplies vectors by the table.

        Args:
            inputs: ids (B, T) of any dtype; with `logits`, vectors (B, T, D).
            logits: whether to return the products with every row of the table, plus the bias.

        Returns:
            (B, T, D); with `logits` (B, T, V).
        """
        if logits:
            table = self.point(ops.cast(self.table(), self.compute_dtype), training=training)
            rows = self._rounded_rows(ops.cast(inputs, self.compute_dtype))
            products = ops.matmul(rows, ops.transpose(table))
            if not self.logits_bias:
                return products
            return products + ops.cast(self.bias, products.dtype)
        # Rounded once looked up: all rows would be copied for each call.
        rows = self._rounded(ops.take(ops.convert_to_tensor(self.embeddings), as_ids(inputs), 0))
        x = self.point(ops.cast(rows, self.compute_dtype), training=training)
        return self.scaled_point(x * self.scale, training=training) if self.scale != 1.0 else x

    def stay_float(self):
        """Permanently disables rounding of a table on its own grid, but not of its points."""
        self.kernel_bits = None
        self.stays_float = True

    def table(self):
        """Returns the table (V, D), rounded row by row where it has `kernel_bits` alone."""
        if self._once_rounded is not None:
            return self._once_rounded
        return self._rounded(ops.convert_to_tensor(self.embeddings))

    @contextmanager
    def rounded_once(self):
        """Rounds the table once for all calls in the context, in which it must not change."""
        if self.rounds_table:
            rows = ops.convert_to_tensor(self.embeddings)
            places = range(0, self.vocab_size, _ROWS)
            self._once_rounded = ops.concatenate(
                [self._rounded(rows[place : place + _ROWS]) for place in places]
            )
        try:
            yield
        finally:
            self._once_rounded = None

    @property
    def rounds_table(self):
        """Whether the table is stored in 8 bits with a range for each row."""
        return self.kernel_bits is not None and self.activation_bits is None

    def _rounded(self, rows):
        if not self.rounds_table:
            return rows
        return straight_through(rows, round_table(rows, TABLE_BITS))

    def compute_output_spec(self, inputs, *, logits=False, training=None):
        shape = (*inputs.shape, self.hidden_dim)
        if logits:
            shape = (*inputs.shape[:-1], self.vocab_size)
        return keras.KerasTensor(shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_transformer")
class SegmentEmbedding(QuantizedLayer):
    """Adds to (B, T, D) a learned vector for each token's segment (BERT, section 3).

    Args:
        num_segments: number of segments, the texts of an example.
        bits: `inner_bits` is the width of the table.
    """

    def __init__(self, num_segments=2, *, initializer_stddev=0.02, bits=None, **kwargs):
        super().__init__(bits=bits, **kwargs)
        self.num_segments = num_segments
        self.initializer_stddev = initializer_stddev

    def build(self, inputs_shape, segment_ids_shape=None):
        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.num_segments, inputs_shape[-1]),
            initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_stddev),
        )  # fmt: skip
        self.point = self._point("point", self.inner_bits)

    def call(self, inputs, segment_ids=None, training=None):
        """Adds the rows `segment_ids` (B, T) of the table; row 0 everywhere without them."""
        table = ops.convert_to_tensor(self.embeddings)
        vectors = table[0] if segment_ids is None else ops.take(table, as_ids(segment_ids), axis=0)
        return inputs + self.point(vectors, training=training)

    def compute_output_shape(self, inputs_shape, segment_ids_shape=None):
        return inputs_shape
