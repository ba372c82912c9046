"""A stack of encoder blocks that attend to a memory, too."""

import keras

from keras_transformer.blocks import DecoderBlock
from keras_transformer.flash import lengths_of
from keras_transformer.stacks import Encoder


@keras.saving.register_keras_serializable(package="keras_transformer")
class CrossEncoder(Encoder):
    """A stack of blocks of self attention, attention to a memory, and a feed-forward layer.

    Every position attends to all others: it encodes one kind of rows with the outputs of another
    kind's encoder (ALBEF; Li et al. 2021, arXiv:2107.07651, section 3.1). With bits that memory is
    one that is stored: the outputs of a `QuantPoint`.

    Args:
        num_layers: number of blocks.
        num_heads: H.
        intermediate_dim: F.
        **kwargs: see `Encoder`.

    Raises:
        ValueError: if an argument is unknown.
    """

    block_class = DecoderBlock

    def _block(self, *args, **kwargs):
        return super()._block(
            *args, causal=False, cross_attention=True, stored_memory=True, **kwargs
        )

    def build(self, inputs_shape, memory_shape=None):
        for block in dict.fromkeys(self.blocks):
            block.build(inputs_shape, memory_shape)
        self._build_ends(inputs_shape)

    def call(self, inputs, memory, mask=None, *, memory_mask=None, training=None):
        """Encodes the inputs.

        Args:
            inputs: (B, T, D).
            memory: (B, S, D').
            mask: boolean over the inputs, True attends: (B, T), or None.
            memory_mask: boolean over the memory, True attends: (B, S), or None.

        Returns:
            (B, T, D).
        """
        if self.has_kernel and training:
            lengths, memory_lengths = lengths_of(mask), lengths_of(memory_mask)
            limits = {"lengths": lengths, "memory_lengths": memory_lengths}
        else:
            bias, memory_bias = (
                None if one is None else self._mask_bias(one) for one in (mask, memory_mask)
            )
            limits = {"bias": bias, "memory_bias": memory_bias}
        # Without the masks that Keras keeps with them, which each block would add again.
        x, memory = keras.ops.copy(inputs), keras.ops.copy(memory)
        for i in self.running:
            x = self.blocks[i](x, memory, training=training, **limits)
        return self._finish(x, training)

    def compute_output_spec(self, inputs, memory, *args, **kwargs):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)
