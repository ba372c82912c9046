"""Attention masks as additive biases of the scores, in float and in integers."""

import keras
from keras import ops

from keras_transformer.quantization import QuantizedLayer

# Added to the score of a masked pair. It is far below any score and, even when two masks add up,
# representable in float16.
MASKED_SCORE = -3e4
# The same in an integer: twice the range of any scores, and few enough steps of it.
STORED_MASKED_SCORE = -512.0
# Distance from the lowest score to the lower bound of the stored sum, which clips lower sums.
# A converter would store the softmax of stored values in steps of 1/256. It leaves a sum of unknown
# range in float, and cannot fold a constant that is too small to change a score.
IMPERCEPTIBLE = 1e-30
MARGIN = 8.0


def attention_bias(mask, dtype="float32"):
    """Converts a boolean mask (True attends) to an additive bias of the scores.

    Args:
        mask: (B, S) for all queries, (B, T, S) for all heads, or (B, H, T, S).
        dtype: dtype of the result.

    Returns:
        (B, 1, 1, S), (B, 1, T, S) or (B, H, T, S): 0 where the mask is True, else `MASKED_SCORE`.

    Raises:
        ValueError: if the mask's rank is not 2, 3 or 4.
    """
    rank = len(mask.shape)
    if rank not in (2, 3, 4):
        raise ValueError(
            "Expected mask to have shape (B, S), (B, T, S) or (B, H, T, S), "
            f"got mask.shape={tuple(mask.shape)}."
        )
    return over_heads((1.0 - ops.cast(mask, dtype)) * MASKED_SCORE)


def over_heads(bias):
    """Expands (B, S), (B, T, S) or (B, H, T, S) to four dimensions, the rank of the scores."""
    rank = len(bias.shape)
    if rank == 2:
        return ops.expand_dims(bias, (1, 2))
    return ops.expand_dims(bias, 1) if rank == 3 else bias


def token_mask(inputs, mask):
    """Returns `mask` if it is a token mask (B, T) of inputs (B, T, D), else None.

    Only such a mask is propagated to the following layers: Keras would propagate any mask.
    """
    is_token_mask = mask is not None and len(mask.shape) == 2
    return mask if is_token_mask and mask.shape[1] == inputs.shape[1] else None


def causal_bias(target_length, source_length, start=0, dtype="float32"):
    """Returns (1, 1, T, S): `MASKED_SCORE` where a source position is after its target position.

    Args:
        target_length, source_length: T and S.
        start: position of the first target among the source positions.
    """
    return attention_bias(causal_mask(target_length, source_length, start), dtype)


def causal_mask(target_length, source_length, start=0):
    """Returns (1, T, S): True where a source position is not after its target position."""
    target = ops.expand_dims(ops.arange(target_length) + start, (0, 2))
    source = ops.expand_dims(ops.arange(source_length), (0, 1))
    return ops.less_equal(source, target)


def window_mask(target_length, source_length, start, window):
    """Returns (1, T, S): True where the distance of two positions is below `window`.

    Beltagy et al. 2020, arXiv:2004.05150, section 3.1. Arguments are as in `causal_bias`.
    """
    target = ops.expand_dims(ops.arange(target_length) + start, (0, 2))
    source = ops.expand_dims(ops.arange(source_length), (0, 1))
    near = ops.less(source - target, window)
    return ops.logical_and(near, ops.less(target - source, window))


def unmasked(scores, bits):
    """Returns scores without a mask as the inputs of a softmax.

    Between stored tensors a device computes the softmax in float, unless it has `inner_bits`. A sum
    with a mask is float; without one, the converter would make a softmax of 8 bits. It leaves
    doubled halves, which are the same numbers, in float.
    """
    if bits["activation_bits"] is None or bits["inner_bits"] is not None:
        return scores
    return 2.0 * (0.5 * scores)


def raised_to(unmasked, masked, point, margin=0.0):
    """Raises masked values to just below the lowest unmasked one while a point has a tracker.

    Otherwise the calibrated range would extend down to the masked scores. Rounding clips values
    below the range in any case, so the outputs are the same without a tracker.

    Args:
        unmasked, masked: scores without and with the mask's bias, of the same shape.
        point: quantization point of the masked scores.
        margin: distance below the lowest unmasked score.
    """
    if point.tracker is None or not point.is_learned:
        return masked
    lowest = ops.stop_gradient(ops.min(unmasked)) - margin
    return ops.maximum(masked, ops.minimum(ops.cast(point.range_min, lowest.dtype), lowest))


@keras.saving.register_keras_serializable(package="keras_transformer")
class StoredMask(QuantizedLayer):
    """Converts a boolean mask (True attends) to stored scores: 0 where True, else the masked score.

    The scores are computed with a select, so that a device needs integers only. Inputs and outputs
    have the same shape.

    Args:
        bits: `inner_bits` is the width of the scores.
    """

    def build(self, mask_shape):
        self.point = self._point(
            "point", self.inner_bits, minimum=STORED_MASKED_SCORE, maximum=0.0
        )

    def call(self, mask):
        values = ops.convert_to_tensor([0.0, STORED_MASKED_SCORE], self.compute_dtype)
        return self.point(ops.where(mask, values[0], values[1]))

    def both(self, mask, other):
        """Returns the bias of two masks, each of a rank that `attention_bias` accepts."""
        return self.point(over_heads(self(mask)) + over_heads(self(other)))

    def compute_output_spec(self, mask):
        return keras.KerasTensor(mask.shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_transformer")
class MaskedMax(QuantizedLayer):
    """The elementwise maximum of the unmasked vectors, in stored integers: (B, T, D) to (B, D).

    Args:
        bits: `inner_bits` is the width of the vectors.
    """

    def build(self, inputs_shape, bias_shape):
        self.point = self._point("point", self.inner_bits)

    def call(self, inputs, bias, training=None):
        """Returns the maximum for a bias (B, T) from `StoredMask`."""
        masked = raised_to(inputs, inputs + ops.expand_dims(bias, -1), self.point)
        return ops.max(self.point(masked, training=training), axis=1)

    def compute_output_shape(self, inputs_shape, bias_shape):
        return (inputs_shape[0], inputs_shape[-1])

    def compute_mask(self, inputs, previous_mask):
        return None
