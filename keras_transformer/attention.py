"""Multi-head attention."""

import keras
from keras import ops

from keras_transformer.bits import dynamic_bits, unit_range
from keras_transformer.dropout import Dropout
from keras_transformer.flash import attended
from keras_transformer.low_rank import make_projection
from keras_transformer.masks import (
    MARGIN,
    attention_bias,
    causal_bias,
    raised_to,
    token_mask,
    unmasked,
)
from keras_transformer.normalization import RMSNorm
from keras_transformer.quantization import QuantizedLayer
from keras_transformer.room import CACHE_NAMES, within
from keras_transformer.rotary import RotaryEmbedding


@keras.saving.register_keras_serializable(package="keras_transformer")
class MultiHeadAttention(QuantizedLayer):
    """`softmax(Q K^T / sqrt(K) + bias) V` in each head, projected back to the query's width.

    Vaswani et al. 2017, section 3.2; with fewer key-value heads Shazeer 2019, arXiv:1911.02150
    (one: multi-query), and Ainslie et al. 2023, arXiv:2305.13245 (grouped).

    Args:
        num_heads: number of heads, H.
        head_dim: width of a head, K; by default the query's width divided by `num_heads`.
        num_key_value_heads: number of key-value heads, a divisor of `num_heads`; by default
            `num_heads`.
        dropout: dropout rate of the attention probabilities.
        use_bias: whether the projections have a bias.
        qkv_bias: whether those of queries, keys and values have one; by default `use_bias`.
        qk_norm: epsilon of an RMS norm of each head's queries and keys before their rotation
            (Henry et al. 2020, arXiv:2010.04245; Qwen3); None for no such norm.
        causal: whether a position attends only to itself and to earlier positions.
        rotary: whether queries and keys are rotated by their positions, or the arguments of
            `RotaryEmbedding`, with which they are.
        has_position_bias: whether a device of integers adds a bias of positions to the scores.
        rank: rank of the low-rank factors of each projection that they make smaller; 0 for none.
        reads_stream: whether the inputs are added to a residual connection, too, as those of a
            post-norm are: the projections that read them have the `dynamic_bits`.
        stored_memory: whether those of keys and values have the `bits` nevertheless, since they
            read a memory that is stored, such as one behind a `QuantPoint`.
        bits: bit widths, see `QuantizedLayer`; the scores plus biases are an inner tensor. Those of
            attention with rotated or normalized queries are the `dynamic_bits`.

    Raises:
        ValueError: if a number of heads does not divide evenly or a mask's rank is not 2 to 4.
    """

    def __init__(
        self, num_heads, *, head_dim=None, num_key_value_heads=None, dropout=0.0, use_bias=True,
        qkv_bias=None, qk_norm=None, causal=False, rotary=False, has_position_bias=False, rank=0,
        reads_stream=False, stored_memory=False, bits=None, **kwargs,
    ):  # fmt: skip
        is_plain = rotary is False and qk_norm is None
        super().__init__(bits=bits if is_plain else dynamic_bits(bits), **kwargs)
        # Whether the projections of queries and keys are stored as they are.
        self.is_plain = is_plain
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads or num_heads
        if num_heads % self.num_key_value_heads:
            raise ValueError(
                "Expected num_key_value_heads to divide num_heads, "
                f"got num_heads={num_heads}, num_key_value_heads={num_key_value_heads}."
            )
        self.head_dim = head_dim
        self.dropout = dropout
        self.use_bias = use_bias
        self.qkv_bias = use_bias if qkv_bias is None else qkv_bias
        self.qk_norm = qk_norm
        self.causal = causal
        self.rotary = rotary is not False
        self.rotary_arguments = rotary if isinstance(rotary, dict) else {}
        self.has_position_bias = has_position_bias
        self.rank = rank
        self.reads_stream = reads_stream
        self.stored_memory = stored_memory
        # In training, function that computes attention without scores, if any, see `flash`.
        self.flash = None

    def build(self, query_shape, memory_shape=None):
        hidden_dim = query_shape[-1]
        memory_shape = memory_shape or query_shape
        if self.head_dim is None and hidden_dim % self.num_heads:
            raise ValueError(
                "Expected num_heads to divide the query's width, "
                f"got width={hidden_dim}, num_heads={self.num_heads}."
            )
        self.width = self.head_dim or hidden_dim // self.num_heads

        read = dynamic_bits(self.bits) if self.reads_stream else self.bits

        def projection(units, name, shape, use_bias=self.qkv_bias, bits=read, **kwargs):
            layer = make_projection(
                units, shape[-1], rank=self.rank, use_bias=use_bias, bits=bits,
                dtype=self.dtype_policy, name=name, **kwargs,
            )  # fmt: skip
            layer.build(shape)
            return layer

        def point(name, width=self.activation_bits, **kwargs):
            return self._point(name, width, **kwargs)

        width, memory_width = (
            heads * self.width for heads in (self.num_heads, self.num_key_value_heads)
        )
        # Scaled here, so that the scale becomes a part of the projection's kernel, or of gamma.
        scale = self.width**-0.5
        normalized = self.qk_norm is not None
        self.query = projection(width, "query", query_shape, factor=1.0 if normalized else scale)
        of_memory = self.bits if self.stored_memory else read
        self.key = projection(memory_width, "key", memory_shape, bits=of_memory)
        self.value = projection(memory_width, "value", memory_shape, bits=of_memory)
        # Keys and values have zero point 0, or XNNPACK leaves their product to a slow kernel.
        self.query_point = point("query_point")
        self.key_point = point("key_point", symmetric=True)
        self.value_point = point("value_point", symmetric=True)
        if normalized:
            self.unnormalized_query_point = point("unnormalized_query_point")
            self.unnormalized_key_point = point("unnormalized_key_point")
            self.query_norm, self.key_norm = (
                RMSNorm(
                    epsilon=self.qk_norm, factor=factor, reads_projection=True, bits=self.bits,
                    dtype=self.dtype_policy, name=name,
                )
                for name, factor in (("query_norm", scale), ("key_norm", 1.0))
            )  # fmt: skip
            self.query_norm.build((None, None, self.num_heads, self.width))
            self.key_norm.build((None, None, self.num_key_value_heads, self.width))
        if self.rotary:
            same = {**self.rotary_arguments, "bits": self.bits, "dtype": self.dtype_policy}
            self.query_rotation = RotaryEmbedding(**same, name="query_rotation")
            self.key_rotation = RotaryEmbedding(**same, name="key_rotation")
            self.query_rotation.build(None)
            self.key_rotation.build(None)
            # The rotation is between the projection and the stored tensor: both sides are stored.
            self.unrotated_query_point = point("unrotated_query_point")
            self.unrotated_key_point = point("unrotated_key_point")
        self.scores_point = point("scores_point")
        biased_bits = self.inner_bits if self.has_position_bias else None
        self.biased_scores_point = point("biased_scores_point", biased_bits)
        self.masked_scores_point = point("masked_scores_point", self.inner_bits)
        self.probabilities_point = point("probabilities_point", **unit_range(self.activation_bits))
        self.context_point = point("context_point")
        self.probabilities_dropout = Dropout(
            self.dropout, dtype=self.dtype_policy, name="probabilities_dropout"
        )
        self.probabilities_dropout.build(None)
        self.output_projection = projection(
            hidden_dim, "output", (*query_shape[:-1], width), use_bias=self.use_bias,
            bits=dynamic_bits(self.bits),
        )  # fmt: skip
        self.output_point = point("output_point", dynamic_bits(self.bits)["activation_bits"])

    def call(
        self, query, memory=None, mask=None, *, bias=None, position_bias=None, cache=None,
        cache_index=None, return_scores=False, lengths=None, query_mask=None, memory_mask=None,
        training=None,
    ):  # fmt: skip
        """Computes attention from every query position.

        Args:
            query: (B, T, D).
            memory: (B, S, D'), the source of keys and values; by default the query itself.
            mask: boolean, True attends: (B, S), (B, T, S) or (B, H, T, S).
            bias: additive bias of the scores, broadcastable to (B, H, T, S).
            position_bias: another of positions, which a device of integers adds before the bias.
            cache: pair of keys and values, each (B, S, KV, K). With `cache_index` the query's own
                keys and values are written into it first; without it the cache is read as it is
                (cross attention over the result of `project_memory`).
            cache_index: integer, the position of the first query in the cache.
            return_scores: whether the attention probabilities (B, H, T, S) are returned too.
            lengths: (B,) int32, numbers of the first keys that are attended, for `flash`.
            query_mask, memory_mask: (B, T) and (B, S), the masks that Keras propagates with the
                tensors. Without `mask`, the mask of the keys and values applies.

        Returns:
            (B, T, D); with `return_scores` also the probabilities; with `cache` also the cache.

        Raises:
            ValueError: if `cache_index` is given without a cache, or the query does not fit into
                the cache there. In a traced graph that has no value of it, what does not fit
                becomes NaN.
        """
        if cache is None and cache_index is not None:
            raise ValueError(
                f"Expected cache to be given with cache_index, got cache_index={cache_index}."
            )
        if mask is None and cache_index is None:
            is_cross = memory is not None or cache is not None
            mask = memory_mask if is_cross else query_mask
        start, room = 0, None
        if cache_index is not None:
            start, room = cache_index, ops.shape(cache[0])[1]
            query = within(query, start, ops.shape(query)[1], room, CACHE_NAMES)
        q = self._query(query, training)
        if self.rotary:
            q = self.query_rotation(q, start=start, axis=1, room=room, training=training)
        q = self.query_point(ops.transpose(q, (0, 2, 1, 3)), training=training)
        if cache is None:
            keys, values = self._keys_values(query if memory is None else memory, training)
        elif cache_index is None:
            keys, values = cache
        else:
            places = {"start": start, "room": room}
            new_keys, new_values = self._keys_values(query, training, **places)
            at = (0, cache_index, 0, 0)
            keys = ops.slice_update(cache[0], at, ops.cast(new_keys, cache[0].dtype))
            values = ops.slice_update(cache[1], at, ops.cast(new_values, cache[1].dtype))
        new_cache = (keys, values)
        if cache is not None:
            # A cache holds rounded values already; a device takes its scale from this point.
            keys = self.key_point(keys, training=training)
            values = self.value_point(values, training=training)

        biases = [] if bias is None else [bias]
        if mask is not None:
            biases.append(attention_bias(mask, self.compute_dtype))
        if self.causal:
            sizes = ops.shape(query)[1], ops.shape(keys)[1]
            biases.append(causal_bias(*sizes, start, self.compute_dtype))

        if self.flash is not None and training:
            others = {"mask": mask, "bias": bias, "cache": cache, "return_scores": return_scores}
            context = attended(self.flash, q, keys, values, lengths, **others)
        else:
            context, probabilities = self._attend(q, keys, values, position_bias, biases, training)
        output = self.output_projection(self.context_point(context, training=training))
        output = self.output_point(output, training=training)
        extra = ((probabilities,) if return_scores else ()) + (new_cache,) * (cache is not None)
        return (output, *extra) if extra else output

    def project_memory(self, memory):
        """Returns the pair of keys and values (B, S, KV, K) of a memory (B, S, D'), as a cache."""
        return self._keys_values(memory, None)

    def _query(self, query, training):
        """(B, T, H, K) before their rotation."""
        return self._unrotated("query", self.query(query), self.num_heads, training)

    def _keys_values(self, memory, training, **places):
        keys, groups = self.key(memory), self.num_key_value_heads
        if not self.is_plain:
            keys = self._unrotated("key", keys, groups, training)
            if self.rotary:
                keys = self.key_rotation(keys, axis=1, training=training, **places)
            keys = self.key_point(keys, training=training)
        else:
            keys = self._split(self.key_point(keys, training=training), groups)
        values = self.value_point(self.value(memory), training=training)
        return keys, self._split(values, self.num_key_value_heads)

    def _unrotated(self, name, x, heads, training):
        """Queries or keys (B, T, heads * K) as (B, T, heads, K), with their norm if any."""
        if self.qk_norm is not None:
            point = getattr(self, f"unnormalized_{name}_point")
            x = self._split(point(x, training=training), heads)
            x = getattr(self, f"{name}_norm")(x, training=training)
        if self.rotary:
            x = getattr(self, f"unrotated_{name}_point")(x, training=training)
        return x if self.qk_norm is not None else self._split(x, heads)

    def _split(self, x, heads):
        """(B, T, heads * K) to (B, T, heads, K)."""
        batch, length = ops.shape(x)[:2]
        return ops.reshape(x, (batch, length, heads, self.width))

    def _attend(self, q, keys, values, position_bias, biases, training):
        """Context (B, T, H * K) and probabilities (B, H, T, S)."""
        batch, _, length, _ = ops.shape(q)
        groups, group = self.num_key_value_heads, self.num_heads // self.num_key_value_heads
        if group > 1:
            # The queries of a group share one axis, so that no key is copied per head.
            q = ops.reshape(q, (batch, groups, group * length, self.width))
        scores = ops.matmul(q, ops.transpose(keys, (0, 2, 3, 1)))
        scores = self.scores_point(scores, training=training)
        if group > 1:
            scores = ops.reshape(scores, (batch, self.num_heads, length, ops.shape(keys)[1]))
        if position_bias is not None:
            scores = self.biased_scores_point(scores + position_bias, training=training)
        if biases:
            plain = scores
            for bias in biases:
                scores = scores + ops.cast(bias, scores.dtype)
            scores = raised_to(plain, scores, self.masked_scores_point, MARGIN)
            scores = self.masked_scores_point(scores, training=training)
        else:
            scores = unmasked(scores, self.bits)
        probabilities = self.probabilities_point(ops.softmax(scores), training=training)
        dropped = self.probabilities_dropout(probabilities, training=training)
        if group > 1:
            dropped = ops.reshape(dropped, (batch, groups, group * length, ops.shape(keys)[1]))
        context = ops.matmul(dropped, ops.transpose(values, (0, 2, 1, 3)))
        if group > 1:
            context = ops.reshape(context, (batch, self.num_heads, length, self.width))
        context = ops.transpose(context, (0, 2, 1, 3))
        return ops.reshape(context, (batch, length, self.num_heads * self.width)), probabilities

    def compute_output_spec(
        self, query, memory=None, *args, cache=None, cache_index=None, return_scores=False, **kwargs
    ):  # fmt: skip
        if cache is None:
            source_length = (query if memory is None else memory).shape[1]
        else:
            source_length = cache[0].shape[1]
        scores_shape = (query.shape[0], self.num_heads, query.shape[1], source_length)
        output = keras.KerasTensor(query.shape, self.compute_dtype)
        scores = keras.KerasTensor(scores_shape, self.compute_dtype)
        extra = (scores,) * return_scores + (cache,) * (cache is not None)
        return (output, *extra) if extra else output

    def compute_mask(self, inputs, previous_mask):
        return token_mask(inputs, previous_mask)
