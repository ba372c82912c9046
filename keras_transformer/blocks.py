"""Encoder and decoder blocks: attention and feed-forward layers in residual connections."""

import keras

from keras_transformer.attention import MultiHeadAttention
from keras_transformer.bits import dynamic_bits
from keras_transformer.feedforward import FeedForward
from keras_transformer.masks import token_mask
from keras_transformer.quantization import QuantizedLayer
from keras_transformer.residual import Residual


def _given(**tensors):
    """Drops arguments that are None: Keras does not pass them on together with tensors."""
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


class _Block(QuantizedLayer):
    """Base of both blocks: their arguments and the residual connection around a sublayer."""

    def __init__(
        self, num_heads, intermediate_dim, *, head_dim=None, num_key_value_heads=None, dropout=0.0,
        attention_dropout=0.0, activation="gelu", gated=False, norm="layer_norm", epsilon=1e-6,
        pre_norm=False, sandwich=False, first_norm=True, parallel=False, use_bias=True,
        qkv_bias=None, qk_norm=None, rotary=False, causal=False, has_position_bias=False, rank=0,
        stochastic_depth=0.0, bits=None, **kwargs,
    ):  # fmt: skip
        super().__init__(bits=bits, **kwargs)
        if parallel and not pre_norm:
            raise ValueError(f"Expected pre_norm of parallel sublayers, got pre_norm={pre_norm}.")
        self.parallel = parallel
        self.attention_arguments = {
            "num_heads": num_heads,
            "head_dim": head_dim,
            "num_key_value_heads": num_key_value_heads,
            "dropout": attention_dropout,
            "use_bias": use_bias,
            "qkv_bias": qkv_bias,
            "rank": rank,
        }
        self.residual_arguments = {
            "pre_norm": pre_norm,
            "dropout": dropout,
            "norm": norm,
            "epsilon": epsilon,
            "sandwich": sandwich,
            "stochastic_depth": stochastic_depth,
        }
        attention = self._attention(
            rotary=rotary, causal=causal, qk_norm=epsilon if qk_norm else None,
            has_position_bias=has_position_bias,
        )  # fmt: skip
        first = {} if first_norm else {"norm": None}
        self.attention = self._residual("attention", attention, **first)
        feed_forward = FeedForward(
            intermediate_dim, activation=activation, gated=gated, use_bias=use_bias,
            rank=rank, reads_stream=not pre_norm, bits=self.bits, dtype=self.dtype_policy,
            name="sublayer",
        )  # fmt: skip
        self.feed_forward = self._residual("feed_forward", feed_forward)

    def _attention(self, **kwargs):
        return MultiHeadAttention(
            reads_stream=not self.residual_arguments["pre_norm"], bits=self.bits,
            dtype=self.dtype_policy, name="sublayer", **self.attention_arguments, **kwargs,
        )  # fmt: skip

    def compute_mask(self, inputs, previous_mask):
        return token_mask(inputs, previous_mask)

    def _residual(self, name, sublayer, **changes):
        # The output of a norm is stored as the sublayer behind it reads it; that of a post-norm is
        # added to the next residual connection, too.
        read = sublayer.bits if self.residual_arguments["pre_norm"] else dynamic_bits(self.bits)
        return Residual(
            sublayer, bits=read, dtype=self.dtype_policy, name=name,
            **{**self.residual_arguments, **changes},
        )  # fmt: skip

    def _feed_forward(self, x, inputs, training):
        """The feed-forward layer after attention's x, or parallel to it over the block's inputs."""
        if self.parallel:
            return self.feed_forward(inputs, onto=x, training=training)
        return self.feed_forward(x, training=training)


@keras.saving.register_keras_serializable(package="keras_transformer")
class EncoderBlock(_Block):
    """Self attention, then the feed-forward layer (Vaswani et al. 2017, section 3.1).

    Args:
        num_heads: H.
        intermediate_dim: F.
        head_dim, num_key_value_heads: see `MultiHeadAttention`.
        dropout: dropout rate of each sublayer's output.
        attention_dropout: dropout rate of the attention probabilities.
        activation, gated: see `FeedForward`.
        norm, epsilon, pre_norm, sandwich, stochastic_depth: see `Residual`.
        first_norm: whether attention has a norm.
        parallel: whether the feed-forward layer reads the block's inputs as attention does, not
            attention's outputs (GPT-NeoX; Black et al. 2022, arXiv:2204.06745).
        use_bias, qkv_bias: see `MultiHeadAttention`.
        qk_norm: whether self attention normalizes queries and keys, with the same epsilon.
        rank: rank of the projections' low-rank factors, see `MultiHeadAttention`.
        rotary: rotation of queries and keys in self attention, see `MultiHeadAttention`.
        causal: whether self attention masks later positions.
        has_position_bias: whether it has a bias of positions, see `MultiHeadAttention`.
        bits: bit widths, see `QuantizedLayer`.

    Raises:
        ValueError: if a post-norm block is parallel, or see `Residual`.
    """

    def build(self, input_shape):
        self.attention.build(input_shape)
        self.feed_forward.build(input_shape)

    def call(
        self, inputs, mask=None, *, bias=None, position_bias=None, lengths=None, first=False,
        training=None,
    ):  # fmt: skip
        """Returns (B, T, D) for inputs (B, T, D); the others as in `MultiHeadAttention`.

        With `first` the outputs are those of the first position (B, 1, D), from all inputs, and the
        mask and biases are that position's.
        """
        limits = _given(mask=mask, bias=bias, position_bias=position_bias, lengths=lengths)
        if not first:
            x = self.attention(inputs, training=training, **limits)
            return self._feed_forward(x, inputs, training)
        x = self.attention(inputs, first=True, training=training, **limits)
        return self._feed_forward(x, inputs[:, :1], training)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class DecoderBlock(_Block):
    """Causal self attention, cross attention over a memory, then the feed-forward layer.

    Vaswani et al. 2017, section 3.1; without cross attention it is the block of GPT.

    Args:
        num_heads: H.
        intermediate_dim: F.
        cross_attention: whether the block attends to a memory.
        stored_memory: whether that memory is stored, see `MultiHeadAttention`.
        causal: whether self attention masks later positions.
        **kwargs: see `EncoderBlock`.
    """

    def __init__(
        self, num_heads, intermediate_dim, *, cross_attention=False, stored_memory=False,
        causal=True, **kwargs,
    ):  # fmt: skip
        super().__init__(num_heads, intermediate_dim, causal=causal, **kwargs)
        self.cross_attention = None
        if cross_attention:
            self.cross_attention = self._residual(
                "cross_attention", self._attention(stored_memory=stored_memory)
            )

    def build(self, inputs_shape, memory_shape=None):
        self.attention.build(inputs_shape)
        if self.cross_attention is not None:
            self.cross_attention.build(inputs_shape, memory_shape)
        self.feed_forward.build(inputs_shape)

    def call(
        self, inputs, memory=None, mask=None, *, bias=None, position_bias=None, memory_mask=None,
        memory_bias=None, lengths=None, memory_lengths=None, cache=None, cache_index=None,
        memory_cache=None, training=None,
    ):  # fmt: skip
        """Computes the block's output.

        Args:
            inputs: (B, T, D).
            memory: (B, S, D'), the encoder's output, for cross attention.
            mask, bias, position_bias: mask and additive biases of self attention.
            memory_mask, memory_bias: mask and additive bias of cross attention.
            lengths, memory_lengths: (B,), lengths of both, see `MultiHeadAttention`.
            cache, cache_index: cache of self attention, see `MultiHeadAttention`.
            memory_cache: the result of `project_memory`, in place of the memory.

        Returns:
            (B, T, D); with `cache` also the cache.
        """
        x = self.attention(
            inputs, training=training,
            **_given(
                mask=mask, bias=bias, position_bias=position_bias, lengths=lengths, cache=cache,
                cache_index=cache_index,
            ),
        )  # fmt: skip
        x, cache = x if cache is not None else (x, None)
        if self.cross_attention is not None:
            x = self.cross_attention(
                x, training=training,
                **_given(
                    memory=memory, memory_mask=memory_mask, bias=memory_bias,
                    lengths=memory_lengths, cache=memory_cache,
                ),
            )  # fmt: skip
            x = x[0] if memory_cache is not None else x
        x = self._feed_forward(x, inputs, training)
        return x if cache is None else (x, cache)

    def project_memory(self, memory):
        """Returns the cross attention's keys and values of a memory (B, S, D')."""
        return self.cross_attention.sublayer.project_memory(memory)

    def compute_output_spec(self, inputs, *args, cache=None, **kwargs):
        output = keras.KerasTensor(inputs.shape, self.compute_dtype)
        return output if cache is None else (output, cache)
