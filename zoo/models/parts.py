"""Factory of a model's layers, with the widths and settings of its config."""

from collections.abc import Mapping

import keras

from keras_transformer.bits import dynamic_bits
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.feedforward import HeadTransform
from keras_transformer.low_rank import make_projection
from keras_transformer.normalization import make_norm
from keras_transformer.positions import LearnedPositionalEncoding, SinusoidalPositionalEncoding
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.config_checks import ADDED_POSITIONS
from keras_transformer.zoo.models.heads import HEAD


class Parts:
    """Creates the named layers of one model; the names form the weight paths of the checkpoint.

    Args:
        config: config of the model.
        bits: bit widths, with every name of `keras_transformer.bits`.
        dtype: Keras dtype policy of the layers.
        prefix: beginning of the names, where several models are one.
    """

    def __init__(
        self, config: TransformerConfig, bits: Mapping[str, int | None], dtype: str,
        prefix: str = "",
    ):  # fmt: skip
        self.config = config
        self.bits = bits
        self.dtype = dtype
        self.prefix = prefix
        self.has_logits_bias = config.logits_bias and config.tied_head
        # Filled as they are made, for logits that are tied to one.
        self.tables: dict[str, TokenEmbedding] = {}

    def named(self, name):
        """The name of a layer in the model."""
        return f"{self.prefix}{name}"

    @property
    def stream_bits(self):
        """The widths of a stack's inputs and outputs.

        Where norms come last, they are added to a residual connection, too: see `bits`.
        """
        return self.bits if self.config.pre_norm else dynamic_bits(self.bits)

    def point(self, name, bits=None, **kwargs):
        """A quantization point with `activation_bits`, by default the model's."""
        width = (bits or self.bits)["activation_bits"]
        return QuantPoint(width, dtype=self.dtype, name=self.named(name), **kwargs)

    def inner_point(self, name, **kwargs):
        """A quantization point of an inner tensor, with `inner_bits`."""
        width = self.bits["inner_bits"]
        return QuantPoint(width, dtype=self.dtype, name=self.named(name), **kwargs)

    @property
    def stores_embeddings(self):
        """Whether embedded vectors are stored as a stack's inputs: no norm reads them in float."""
        return not (self.config.pre_norm or self.config.has_embedding_norm)

    @property
    def adds_positions(self):
        """Whether vectors of positions are added to those of tokens."""
        return self.config.positions in ADDED_POSITIONS

    def embedding_point(self, name):
        """The point of embedded vectors."""
        if self.stores_embeddings:
            return self.point(name, self.stream_bits)
        return self.inner_point(name)

    def projection(self, units, name, inputs=None, *, use_bias=True, bits=None):
        """A projection to the given units, by default from the stack's width."""
        return make_projection(
            units, inputs or self.config.hidden_dim, rank=self.config.rank,
            bits=bits or self.bits, use_bias=use_bias, dtype=self.dtype, name=self.named(name),
        )  # fmt: skip

    def norm(self, name):
        """A norm of the config's kind, of a stack's inputs."""
        c = self.config
        return make_norm(
            c.norm, epsilon=c.epsilon, bits=self.stream_bits, dtype=self.dtype,
            name=self.named(name),
        )  # fmt: skip

    def dropout(self, name):
        """Dropout at the config's rate."""
        return keras.layers.Dropout(self.config.dropout, dtype=self.dtype, name=self.named(name))

    def add_positions(self, x, name="position_embedding"):
        """Adds learned or sinusoidal positions to (B, T, D), if the config has these."""
        kinds = {
            "learned": LearnedPositionalEncoding,
            "sinusoidal": SinusoidalPositionalEncoding,
        }
        kind = kinds.get(self.config.positions)
        if kind is None:
            return x
        return kind(
            self.config.max_length, bits=self.bits, dtype=self.dtype, name=self.named(name)
        )(x)

    def token_embedding(self, vocab_size=None, name="token_embedding"):
        """The token embedding of a vocabulary, by default the model's own."""
        c = self.config
        # Vectors that are scaled by sqrt(D) have an initial variance of 1 after scaling.
        stddev = c.hidden_dim**-0.5 if c.scale_embeddings else 0.02
        made = TokenEmbedding(
            vocab_size or c.vocab_size, c.embedding_dim or c.hidden_dim,
            scale=c.hidden_dim**0.5 if c.scale_embeddings else 1.0,
            initializer_stddev=stddev, logits_bias=self.has_logits_bias and vocab_size is None,
            bits=dynamic_bits(self.bits), dtype=self.dtype, name=self.named(name),
        )  # fmt: skip
        self.tables[name] = made
        return made

    def embedded(self, x):
        """An encoder's input (B, T, D) from embedded vectors: their norm, dropout, projection."""
        x = self.normalized_embeddings(x)
        x = self.dropout("embedding_dropout")(x)
        if self.config.embedding_dim:
            bits = self.stream_bits
            x = self.projection(
                self.config.hidden_dim, "embedding_projection", x.shape[-1], bits=bits
            )(x)
            if bits["activation_bits"] is None:
                # The converter would fold the bias into that of the block's projections, and the
                # runtime round their inputs before it is added. Doubled halves are the same.
                x = 2.0 * (0.5 * x)
            x = self.point("embedding_projection_point", bits)(x)
        return x

    def masked_logits(self, x):
        """(B, T, D) to the logits (B, T, V) of the token at each position."""
        c, table = self.config, self.tables["token_embedding"]
        x = HeadTransform(
            table.hidden_dim, activation=c.activation, norm=c.norm, epsilon=c.epsilon,
            use_bias=c.use_bias, rank=c.rank, bits=self.stream_bits, dtype=self.dtype,
            name=self.named(HEAD),
        )(x)  # fmt: skip
        return table(x, logits=True)

    def normalized_embeddings(self, x, prefix=""):
        """Embedded (B, T, D), normalized if the config has it so."""
        if not self.config.has_embedding_norm:
            return x
        x = self.norm(f"{prefix}embedding_norm")(x)
        return self.point(f"{prefix}embedding_norm_point", self.stream_bits)(x)

    def rotary(self, theta):
        """The rotation of queries and keys, see `MultiHeadAttention`."""
        c = self.config
        if c.positions != "rotary":
            return False
        changes = {"max_wavelength": theta, "fraction": c.rotary_fraction}
        if c.rope_scaling and theta == c.rope_theta:
            changes["scaling"] = dict(c.rope_scaling)
        return changes

    def stack(self, stack_class, name, **kwargs):
        """An `Encoder` or `Decoder`."""
        c = self.config
        return stack_class(
            c.num_layers if name == "decoder" else c.encoder_depth, c.num_heads, c.intermediate_dim,
            head_dim=c.head_dim or None, num_key_value_heads=c.num_key_value_heads or None,
            dropout=c.dropout, attention_dropout=c.attention_dropout,
            stochastic_depth=c.stochastic_depth,
            activation=c.activation, gated=c.gated, norm=c.norm, epsilon=c.epsilon,
            pre_norm=c.pre_norm, sandwich=c.sandwich_norms, first_norm=c.first_norm,
            parallel=c.parallel_residual, shared=c.share_layers,
            use_bias=c.use_bias, qkv_bias=c.qkv_bias, qk_norm=c.qk_norm, rank=c.rank,
            rotary=self.rotary(c.rope_theta), position_bias=c.score_bias,
            window=c.window, pattern=c.layer_pattern,
            local_rotary=self.rotary(c.local_rope_theta or c.rope_theta),
            bits=self.bits, dtype=self.dtype, name=self.named(name), **kwargs,
        )  # fmt: skip
