"""Pooling: the output vectors of an encoder as one."""

from keras import KerasTensor, ops

from keras_transformer.bits import tanh_range, unit_range
from keras_transformer.masks import (
    MARGIN,
    MASKED_SCORE,
    MaskedMax,
    StoredMask,
    raised_to,
    unmasked,
)
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.heads import Head, Heads
from keras_transformer.zoo.models.parts import Parts


def pool(parts: Parts, x: KerasTensor, mask: KerasTensor | None) -> KerasTensor:
    """Returns the vectors (B, D) of an encoder's outputs.

    Args:
        parts: parts of the model, whose config says how outputs are pooled.
        x: (B, T, D).
        mask: (B, T), True where a position is not padding; None where none is.
    """
    return _POOLINGS[parts.config.pooling](parts, x, mask)


def reads_first(config: TransformerConfig, head: Head | Heads | None) -> bool:
    """Whether all heads of an encoder read the vector of its first position alone."""
    return config.pooling == "first" and False not in read_pooled(head)


def read_pooled(head: Head | Heads | None) -> set[bool]:
    """Whether heads read one vector of all positions, as a set of the answers of each."""
    heads = head.heads.values() if isinstance(head, Heads) else [head] if head else []
    return {one.kind in ("pooled", "vector") for one in heads}


def _first(parts, x, mask):
    c, bits = parts.config, parts.bits
    if bits["inner_bits"] is None:
        # A slice that drops no axis is an op that XNNPACK runs.
        x = ops.reshape(x[:, :1, :], (-1, x.shape[-1]))
    else:
        # Behind a reshape the converter stores the vector on the grids of two points in turn.
        x = x[:, 0, :]
    if c.pooler == "none":
        return parts.point("pooled_point")(x)
    x = parts.projection(c.hidden_dim, "pooler", bits=parts.stream_bits)(x)
    x = parts.point("pooler_point")(x)
    if c.pooler != "tanh":
        return parts.point("pooled_point")(
            ops.relu(x) if c.pooler == "relu" else ops.gelu(x, approximate=False)
        )
    if (bits["activation_bits"] or 0) > 8:
        # The converter would store a tanh in 8 bits, but not a difference.
        return parts.point("pooled_point")(2.0 * ops.sigmoid(2.0 * x) - 1.0)
    if bits["inner_bits"] is None:
        return parts.point("pooled_point")(ops.tanh(x))
    return parts.inner_point("pooled_point", **tanh_range(bits["inner_bits"]))(ops.tanh(x))


def _mean(parts, x, mask):
    if mask is None:
        pooled = ops.mean(x, axis=1)
    elif parts.bits["inner_bits"] is not None:
        # The softmax of a mask is 1 / (number of tokens) at each token.
        share = parts.inner_point("share_point", **unit_range(parts.bits["inner_bits"]))
        bias = _stored_mask(parts, mask)
        pooled = ops.matmul(share(ops.softmax(ops.expand_dims(bias, 1))), x)
        return parts.point("pooled_point")(ops.squeeze(pooled, 1))
    else:
        real = _real(x, mask)
        pooled = ops.sum(x * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1.0)
    return parts.point("pooled_point")(pooled)


def _max(parts, x, mask):
    if mask is None:
        # One of the stored values, which need no other range.
        return ops.max(x, axis=1)
    if parts.bits["inner_bits"] is not None:
        largest = MaskedMax(bits=parts.bits, dtype=parts.dtype, name=parts.named("largest"))
        return parts.point("pooled_point")(largest(x, _stored_mask(parts, mask)))
    # In this order: Keras would treat a second term (1, T, 1) as a bias of the channels.
    pooled = ops.max((1.0 - _real(x, mask)) * MASKED_SCORE + x, axis=1)
    return parts.point("pooled_point")(pooled)


def _attention(parts, x, mask):
    """Sequence pooling (Hassani et al. 2021, arXiv:2104.05704, section 3.2).

    The outputs are weighted by a softmax, over the positions, of a learned score of each.
    """
    bits = parts.bits
    scores = parts.projection(1, "pooling_scores", bits=parts.stream_bits)(x)
    scores = parts.point("pooling_scores_point")(scores)
    scores = ops.transpose(scores, (0, 2, 1))
    if mask is not None:
        if bits["inner_bits"] is not None:
            bias = ops.expand_dims(_stored_mask(parts, mask), 1)
        else:
            bias = ops.transpose((1.0 - _real(x, mask)) * MASKED_SCORE, (0, 2, 1))
        point = parts.inner_point("masked_pooling_scores_point")
        scores = point(raised_to(scores, scores + bias, point, MARGIN))
    else:
        scores = unmasked(scores, bits)
    shares = parts.point("pooling_shares_point", **unit_range(bits["activation_bits"]))
    pooled = ops.matmul(shares(ops.softmax(scores)), x)
    return parts.point("pooled_point")(ops.squeeze(pooled, 1))


_POOLINGS = {"first": _first, "mean": _mean, "max": _max, "attention": _attention}


def _real(x, mask):
    """(B, T, 1): 1 where a position is not padding, else 0."""
    return ops.expand_dims(ops.cast(mask, x.dtype), -1)


def _stored_mask(parts, mask):
    """The bias (B, T) of a mask with ops of integer devices."""
    return StoredMask(bits=parts.bits, dtype=parts.dtype, name=parts.named("pooling_mask"))(mask)
