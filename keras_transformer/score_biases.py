"""The additive biases of a stack's scores, of masks and of a window."""

from keras import ops

from keras_transformer.masks import (
    StoredMask,
    attention_bias,
    causal_mask,
    over_heads,
    window_mask,
)
from keras_transformer.quantization import QuantizedLayer


class ScoreBiases(QuantizedLayer):
    """Base of a stack: the biases that it computes once for all blocks.

    Args:
        window: distance below which positions attend to each other in local blocks; 0 for any.
        **kwargs: see `QuantizedLayer`.
    """

    def __init__(self, window, **kwargs):
        super().__init__(**kwargs)
        self.window = window
        self.stored_mask = StoredMask(bits=self.bits, name="stored_mask", dtype=self.dtype_policy)

    def _windowed(self, bias, target_length, source_length, start, mask, *, causal=False):
        """The bias of local blocks: with the window's, where there is a window.

        Args:
            bias: the bias of the others, of the mask and, if so, of causality.
            target_length, source_length, start: see `window_mask`.
            mask: boolean mask that the bias is of, or None.
            causal: whether the bias is of causality too.
        """
        if not self.window:
            return bias
        near = window_mask(target_length, source_length, start, self.window)
        if self.inner_bits is None:
            return self._add(bias, self._mask_bias(near))
        if causal:
            near = ops.logical_and(near, causal_mask(target_length, source_length, start))
        return self._mask_bias(near) if mask is None else self.stored_mask.both(near, mask)

    def _causal_bias(self, target_length, source_length, start, mask):
        """The additive bias of causality and, if given, of a boolean mask."""
        causal = causal_mask(target_length, source_length, start)
        if mask is None:
            return self._mask_bias(causal)
        if self.inner_bits is None:
            return self._mask_bias(causal) + self._mask_bias(mask)
        return self.stored_mask.both(causal, mask)

    def _mask_bias(self, mask):
        """The additive bias of a boolean mask, see `attention_bias`."""
        if self.inner_bits is None:
            return attention_bias(mask, self.compute_dtype)
        return over_heads(self.stored_mask(mask))

    def _add(self, *biases):
        """The sum of the biases that are not None, or None."""
        biases = [bias for bias in biases if bias is not None]
        return sum(biases[1:], biases[0]) if biases else None
