"""Factory of a model's layers, with the widths and settings of its config."""

from collections.abc import Mapping

import keras

from keras_transformer.low_rank import make_projection
from keras_transformer.normalization import make_norm
from keras_transformer.positions import LearnedPositionalEncoding, SinusoidalPositionalEncoding
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.models.config import TransformerConfig


class Parts:
    """Creates the named layers of one model; the names form the weight paths of the checkpoint.

    Args:
        config: config of the model.
        bits: bit widths, with every name of `keras_transformer.bits`.
        dtype: Keras dtype policy of the layers.
    """

    def __init__(self, config: TransformerConfig, bits: Mapping[str, int | None], dtype: str):
        self.config = config
        self.bits = bits
        self.dtype = dtype

    def point(self, name):
        """A quantization point with `activation_bits`."""
        return QuantPoint(self.bits["activation_bits"], dtype=self.dtype, name=name)

    def inner_point(self, name, **kwargs):
        """A quantization point of an inner tensor, with `inner_bits`."""
        return QuantPoint(self.bits["inner_bits"], dtype=self.dtype, name=name, **kwargs)

    def projection(self, units, name, inputs=None):
        """A projection to the given units, by default from the stack's width."""
        return make_projection(
            units, inputs or self.config.hidden_dim, rank=self.config.rank, bits=self.bits,
            dtype=self.dtype, name=name,
        )  # fmt: skip

    def norm(self, name):
        """A norm of the config's kind."""
        c = self.config
        return make_norm(
            c.norm, epsilon=c.epsilon, bits=self.bits, dtype=self.dtype, name=name
        )

    def dropout(self, name):
        """Dropout at the config's rate."""
        return keras.layers.Dropout(self.config.dropout, dtype=self.dtype, name=name)

    def add_positions(self, x, name="position_embedding"):
        """Adds learned or sinusoidal positions to (B, T, D), if the config has these."""
        kinds = {
            "learned": LearnedPositionalEncoding,
            "sinusoidal": SinusoidalPositionalEncoding,
        }
        kind = kinds.get(self.config.positions)
        if kind is None:
            return x
        return kind(self.config.max_length, bits=self.bits, dtype=self.dtype, name=name)(x)

    def embedded(self, x):
        """The stack's input from embedded (B, T, D): normalized unless pre-norm, with dropout."""
        if not self.config.pre_norm:
            x = self.norm("embedding_norm")(x)
            x = self.point("embedding_norm_point")(x)
        return self.dropout("embedding_dropout")(x)

    def stack(self, stack_class, name, **kwargs):
        """An `Encoder` or `Decoder`."""
        c = self.config
        return stack_class(
            c.num_layers, c.num_heads, c.intermediate_dim,
            head_dim=c.head_dim or None, num_key_value_heads=c.num_key_value_heads or None,
            dropout=c.dropout, attention_dropout=c.attention_dropout,
            activation=c.activation, gated=c.gated, norm=c.norm, epsilon=c.epsilon,
            pre_norm=c.pre_norm, use_bias=c.use_bias, rotary=c.positions == "rotary", rank=c.rank,
            position_bias=c.positions if c.positions in ("t5", "alibi") else None,
            bits=self.bits, dtype=self.dtype, name=name, **kwargs,
        )  # fmt: skip
