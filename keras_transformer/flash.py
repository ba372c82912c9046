"""Attention in training by one kernel, which writes no scores to memory (flash attention).

Dao et al. 2022, arXiv:2205.14135. A kernel reads lengths where the layers' own path reads masks,
and drops no probabilities.
"""

import functools

from keras import ops


def use_kernel(stack, kernel):
    """Makes the attention of a stack's blocks a kernel's in training, or again their own.

    Args:
        stack: `Encoder` or `Decoder`.
        kernel: function of queries (B, T, H, K), scaled already, keys and values (B, S, KV, K),
            their lengths (B,) or None, and the keywords `causal`, and `window`, 0 for none, that
            returns (B, T, H, K); None for the layers' own path.
    """
    stack.has_kernel = kernel is not None
    for i, block in enumerate(stack.blocks):
        limits = {"causal": not stack.bidirectional, "window": stack.window * stack.is_local(i)}
        block.attention.sublayer.flash = _with(kernel, **limits)
        if (across := getattr(block, "cross_attention", None)) is not None:
            across.sublayer.flash = _with(kernel, causal=False, window=0)


def _with(kernel, **limits):
    return None if kernel is None else functools.partial(kernel, **limits)


def lengths_of(mask):
    """Returns the numbers (B,) of positions that a mask (B, S) leaves, int32; None without one.

    They are all that a kernel reads of it: the positions are taken to be the first ones, as those
    of rows are that `Batches` pads at their end. A row of none attends to its first position, or
    its probabilities would be 0 / 0.

    Raises:
        ValueError: if the mask is another than that of padding.
    """
    if mask is None:
        return None
    if len(mask.shape) != 2:
        raise ValueError(
            "Expected mask to have shape (B, S) where a kernel reads lengths, "
            f"got mask.shape={tuple(mask.shape)}."
        )
    return ops.maximum(ops.sum(ops.cast(mask, "int32"), axis=-1), 1)


def attended(kernel, q, keys, values, lengths, **others):
    """Returns the context (B, T, H * K) of a kernel.

    Args:
        kernel: see `use_kernel`.
        q: queries (B, H, T, K).
        keys, values: (B, S, KV, K).
        lengths: (B,), or None.
        **others: what a kernel does not read, all None or False.

    Raises:
        ValueError: if something else is given.
    """
    for name, value in others.items():
        if value is not None and value is not False:
            raise ValueError(f"Expected no {name} where a kernel computes attention, got one.")
    context = kernel(ops.transpose(q, (0, 2, 1, 3)), keys, values, lengths)
    return ops.reshape(context, (*ops.shape(context)[:2], context.shape[2] * context.shape[3]))
