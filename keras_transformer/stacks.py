"""Encoder and decoder stacks, which compute one additive bias from masks and position biases."""

import contextlib

import keras

from keras_transformer.bits import dynamic_bits
from keras_transformer.blocks import DecoderBlock, EncoderBlock
from keras_transformer.flash import lengths_of
from keras_transformer.masks import token_mask
from keras_transformer.normalization import make_norm
from keras_transformer.positions import make_position_bias
from keras_transformer.quantization import QuantPoint
from keras_transformer.reading import of_first, reads_alone
from keras_transformer.rematerialized import rematerialized
from keras_transformer.room import CACHE_NAMES, within
from keras_transformer.score_biases import ScoreBiases

# Arguments that a stack passes to its blocks and does not read itself.
BLOCK_ARGUMENTS = (
    "head_dim", "num_key_value_heads", "dropout", "attention_dropout", "activation", "gated",
    "use_bias", "qkv_bias", "qk_norm", "sandwich", "parallel", "rotary", "rank",
)  # fmt: skip
# Letters of a pattern of blocks: attention within a window, and to all positions.
LOCAL, GLOBAL = "L", "G"


def _without_mask(x):
    """Removes a tensor's Keras mask, which each block would add to the bias again."""
    return keras.ops.copy(x)


class _Stack(ScoreBiases):
    """Base of both stacks; `Encoder` documents the arguments."""

    block_class = None
    block_arguments = BLOCK_ARGUMENTS
    bidirectional = True

    def __init__(
        self, num_layers, num_heads, intermediate_dim, *, position_bias=None, norm="layer_norm",
        epsilon=1e-6, pre_norm=False, first_norm=True, shared=False, window=0, pattern="L",
        local_rotary=None, stochastic_depth=0.0, bits=None, name=None, dtype=None, trainable=True,
        **block_arguments,
    ):  # fmt: skip
        super().__init__(window, bits=bits, name=name, dtype=dtype, trainable=trainable)
        for argument, value in block_arguments.items():
            if argument not in self.block_arguments:
                raise ValueError(
                    f"Expected arguments of a block among {', '.join(self.block_arguments)}, "
                    f"got {argument}={value!r}."
                )
        if not pattern or set(pattern) - {LOCAL, GLOBAL}:
            letters = f"the letters {LOCAL} and {GLOBAL}"
            raise ValueError(f"Expected pattern to be of {letters}, got pattern={pattern!r}.")
        self.num_layers = num_layers
        self.pattern = pattern
        same = {"dtype": self.dtype_policy}
        self.position_bias = None
        if position_bias is not None:
            self.position_bias = make_position_bias(
                position_bias, num_heads, bidirectional=self.bidirectional, bits=self.bits,
                name="position_bias", **same,
            )  # fmt: skip
            # In float one tensor is all that the scores are added to.
            block_arguments["has_position_bias"] = self.inner_bits is not None

        def block(i):
            turned = self.is_local(i) and local_rotary is not None
            arguments = {**block_arguments, **({"rotary": local_rotary} if turned else {})}
            return self._block(
                num_heads, intermediate_dim, norm=norm, epsilon=epsilon, pre_norm=pre_norm,
                first_norm=first_norm or i > 0, bits=self.bits, name=f"block_{i}",
                stochastic_depth=stochastic_depth * (i + 1) / num_layers, **arguments, **same,
            )  # fmt: skip

        self.blocks = [block(0)] * num_layers if shared else [block(i) for i in range(num_layers)]
        self.running = range(num_layers)
        # In training, function by which blocks are computed again for the gradients, if any;
        # outside of it, function `(block, *inputs, **tensors)` in place of a block's call, if any.
        self.remat = self.run_block = None
        # Whether attention in training is a kernel's, which has lengths for biases, see `flash`.
        self.has_kernel = False
        self.final_norm = None
        if pre_norm:
            # Logits alone read what a decoder writes.
            stored = self.bits if self.bidirectional else dynamic_bits(self.bits)
            self.final_norm = make_norm(
                norm, epsilon=epsilon, bits=stored, name="final_norm", **same
            )
            self.final_point = QuantPoint(stored["activation_bits"], name="final_point", **same)

    def _block(self, *args, **kwargs):
        return self.block_class(*args, **kwargs)

    def is_local(self, i):
        """Whether a block attends within the window alone."""
        return self.window > 0 and self.pattern[i % len(self.pattern)] == LOCAL

    @contextlib.contextmanager
    def only_blocks(self, numbers):
        """Runs only some blocks of the stack within the context.

        Graphs have to be traced within it.

        Args:
            numbers: indices of the blocks, in the order in which they run; all with a cache.
        """
        before, self.running = self.running, tuple(numbers)
        try:
            yield
        finally:
            self.running = before

    def _run(self, i, *inputs, training, **tensors):
        block = self.blocks[i]
        if self.remat and training:
            return rematerialized(block, self.remat, *inputs, training=training, **tensors)
        if self.run_block and not training:
            return self.run_block(block, *inputs, **tensors)
        return block(*inputs, training=training, **tensors)

    def compute_mask(self, inputs, previous_mask):
        return token_mask(inputs, previous_mask)

    def _build_ends(self, shape):
        self.stored_mask.build(None)
        if self.position_bias is not None:
            self.position_bias.build(shape)
        if self.final_norm is not None:
            self.final_norm.build(shape)
            self.final_point.build(shape)

    def _limits(self, bias, places, mask, training, inputs, attended=None, *, causal=False):
        """The biases of global and of local blocks by name, with those of positions.

        Args:
            bias: the bias of the mask and, if `causal`, of causality; or None.
            places: T, S and the position of the first target among the sources.
            mask: the boolean mask, or None.
            training: whether in training.
            inputs, attended: (B, T, D), and (B, S, ...) if it is another.
            causal: whether no position attends to a later one.
        """
        of_positions = None
        if self.position_bias is not None:
            start = places[-1]
            of_positions = self.position_bias(inputs, attended, start=start, training=training)
        if self.inner_bits is None:
            # One tensor is all that the scores are added to.
            bias, of_positions = self._add(bias, of_positions), None
        limits = bias, self._windowed(bias, *places, mask, causal=causal)
        return tuple({"bias": one, "position_bias": of_positions} for one in limits)

    def _finish(self, x, training):
        if self.final_norm is None:
            return x
        return self.final_point(self.final_norm(x, training=training), training=training)


@keras.saving.register_keras_serializable(package="keras_transformer")
class Encoder(_Stack):
    """A stack of encoder blocks (Vaswani et al. 2017, section 3.1).

    Args:
        num_layers: number of blocks.
        num_heads: H.
        intermediate_dim: F.
        position_bias: `t5`, `alibi`, or None.
        norm, epsilon, pre_norm: see `Residual`; a pre-norm stack ends with one more norm.
        first_norm: whether the attention of the first block has a norm.
        shared: whether all blocks are one, with the same weights (Lan et al. 2020,
            arXiv:1909.11942).
        window: distance below which positions attend to each other in local blocks; 0 for any.
        pattern: letters of the blocks, again from the first after the last: `L` local, `G` global.
        local_rotary: `rotary` of the local blocks; by default that of all.
        stochastic_depth: rate of rows from which a sublayer of the last block is left out in
            training; those before it have less, in proportion to their depth.
        bits: bit widths, see `QuantizedLayer`.
        **block_arguments: `head_dim`, `num_key_value_heads`, `dropout`, `attention_dropout`,
            `activation`, `gated`, `use_bias`, `qkv_bias`, `qk_norm`, `sandwich`, `parallel`,
            `rotary` and `rank`, see `EncoderBlock`.

    Raises:
        ValueError: if the position bias, the pattern or an argument is unknown.
    """

    block_class = EncoderBlock
    # Whether what reads the outputs reads the first position alone, see `reading`.
    reads_first = False

    def build(self, input_shape):
        for block in dict.fromkeys(self.blocks):
            block.build(input_shape)
        self._build_ends(input_shape)

    def call(self, inputs, mask=None, training=None):
        """Encodes the inputs.

        Args:
            inputs: (B, T, D).
            mask: boolean, True attends: (B, T), (B, T, T) or (B, H, T, T).

        Returns:
            (B, T, D).
        """
        if self.has_kernel and training:
            limits = ({"lengths": lengths_of(mask)},) * 2
        else:
            length = keras.ops.shape(inputs)[1]
            bias = None if mask is None else self._mask_bias(mask)
            limits = self._limits(bias, (length, length, 0), mask, training, inputs)
        x = inputs if mask is None else _without_mask(inputs)
        last = len(self.running) - 1
        narrows = self.reads_first and reads_alone() and not training
        for place, i in enumerate(self.running):
            given = limits[self.is_local(i)]
            if narrows and place == last:
                given = of_first(given)
            x = self._run(i, x, **given, training=training)
        return self._finish(x, training)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class Decoder(_Stack):
    """A stack of decoder blocks (Vaswani et al. 2017, section 3.1; GPT without a memory).

    Args:
        num_layers: number of blocks.
        num_heads: H.
        intermediate_dim: F.
        cross_attention: whether the blocks attend to a memory.
        **kwargs: see `Encoder`.

    Raises:
        ValueError: if the position bias or an argument is unknown.
    """

    block_class = DecoderBlock
    block_arguments = (*BLOCK_ARGUMENTS, "cross_attention")
    bidirectional = False

    def _block(self, *args, **kwargs):
        # The stack adds the causal bias once for all blocks.
        return super()._block(*args, causal=False, **kwargs)

    def build(self, inputs_shape, memory_shape=None):
        for block in dict.fromkeys(self.blocks):
            block.build(inputs_shape, memory_shape)
        self._build_ends(inputs_shape)

    def call(
        self, inputs, memory=None, mask=None, *, inputs_mask=None, memory_mask=None, cache=None,
        cache_index=None, memory_cache=None, training=None,
    ):  # fmt: skip
        """Decodes; no position attends to a later one.

        Args:
            inputs: (B, T, D).
            memory: (B, S, D'), the encoder's output.
            mask: boolean over the targets, True attends: (B, T), (B, T, T) or (B, H, T, T); with
                a cache the last axis is the cache's length.
            inputs_mask: (B, T), the mask that Keras propagates with the inputs; used without `mask`
                and without a cache.
            memory_mask: boolean over the memory, True attends.
            cache: tuple with a pair of keys and values (B, L, KV, K) for each block.
            cache_index: integer, the position of the first input in the cache.
            memory_cache: the result of `project_memory`, in place of the memory.

        Returns:
            (B, T, D); with `cache` also the cache.

        Raises:
            ValueError: if the inputs do not fit into the cache at `cache_index`. In a traced graph
                that has no value of it, what does not fit becomes NaN.
        """
        length, start = keras.ops.shape(inputs)[1], 0
        attended = inputs
        if cache is not None:
            room = keras.ops.shape(cache[0][0])[1]
            inputs = within(inputs, cache_index, length, room, CACHE_NAMES)
            cache_index = keras.ops.convert_to_tensor(cache_index, "int32")
            start, attended = cache_index, cache[0][0]
        if mask is None and cache is None:
            mask = inputs_mask
        if self.has_kernel and training:
            limits = ({"lengths": lengths_of(mask)},) * 2
            of_memory = {"memory_lengths": lengths_of(memory_mask)}
        else:
            places = length, keras.ops.shape(attended)[1], start
            bias = self._causal_bias(*places, mask)
            limits = self._limits(bias, places, mask, training, inputs, attended, causal=True)
            masked = None if memory_mask is None else self._mask_bias(memory_mask)
            of_memory = {"memory_bias": masked}
        if memory_mask is not None and memory is not None:
            memory = _without_mask(memory)
        x, new_cache = inputs if mask is None else _without_mask(inputs), []
        for i in self.running:
            x = self._run(
                i, x, memory, **limits[self.is_local(i)], **of_memory, training=training,
                cache=None if cache is None else cache[i], cache_index=cache_index,
                memory_cache=None if memory_cache is None else memory_cache[i],
            )  # fmt: skip
            if cache is not None:
                x, block_cache = x
                new_cache.append(block_cache)
        x = self._finish(x, training)
        return x if cache is None else (x, tuple(new_cache))

    def project_memory(self, memory):
        """Returns each block's cross-attention keys and values of a memory (B, S, D')."""
        return tuple(block.project_memory(memory) for block in self.blocks)

    def compute_output_spec(self, inputs, *args, cache=None, **kwargs):
        output = keras.KerasTensor(inputs.shape, self.compute_dtype)
        return output if cache is None else (output, cache)
