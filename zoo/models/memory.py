"""Memory that a model and a training step need at least, checked against the machine's."""

import ctypes
import math
import os
from pathlib import Path

import keras

from keras_transformer.attention import MultiHeadAttention
from keras_transformer.quantization import KernelLayer
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.heads import LOGITS_HEAD

_FLOAT = 4
# Measured: the layers of a block, as Python objects and graphs.
_BLOCK = 1_000_000
# The largest memory that the control group of a container allows, in versions 2 and 1.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_build(config: TransformerConfig) -> None:
    """Checks that a model fits in the machine's memory, before it is built.

    Raises:
        InputError: if it does not.
    """
    longest = config.max_length * config.hidden_dim
    needed = _FLOAT * (parameters_of(config) + longest) + _BLOCK * _blocks(config)
    _check("a model", needed, "make it smaller")


def check_training(model: keras.Model, tokens: int, length: int, copies: int) -> None:
    """Checks that a training step fits in the machine's memory, before the first one.

    On a GPU, whose memory is not known here, nothing is checked.

    Args:
        model: built model that is trained.
        tokens: number of tokens of the largest batch, padding included.
        length: padded length of its rows.
        copies: number of arrays of the size of the weights that the run keeps besides them.

    Raises:
        InputError: if it does not fit.
    """
    needed = step_bytes(model, tokens, length, copies)
    if needed > machine_bytes() and not _has_gpu():
        _check(
            f"training on batches of {tokens:,} tokens", needed,
            "lower batch_tokens or max_length, or make the model smaller",
        )  # fmt: skip


def parameters_of(config: TransformerConfig) -> int:
    """Returns the number of parameters of a config's model without norms, biases and a head."""
    c = config
    kinds = 2 if c.architecture == "encoder-decoder" else 1
    query, key = c.num_heads * c.head_width, (c.num_key_value_heads or c.num_heads) * c.head_width
    attention = sum(
        kernel_parameters(c, *shape)
        for shape in ((c.hidden_dim, query), (c.hidden_dim, key), (c.hidden_dim, key),
                      (query, c.hidden_dim))
    )  # fmt: skip
    feed_forward = kernel_parameters(c, c.hidden_dim, c.intermediate_dim) * (3 if c.gated else 2)
    # A decoder's block with cross-attention has a second attention.
    own = attention + feed_forward
    blocks = (own + (kinds - 1) * attention) * (1 if c.share_layers else c.num_layers)
    blocks += (kinds - 1) * own * c.encoder_depth
    positions = kinds * c.max_length if c.positions == "learned" else 0
    tables = c.vocab_size + c.source_vocab_size + c.num_segments + positions
    width, head = c.embedding_dim or c.hidden_dim, 0
    if not c.tied_head:
        head = kernel_parameters(c, c.hidden_dim, c.vocab_size)
    projection = kernel_parameters(c, c.embedding_dim, c.hidden_dim) if c.embedding_dim else 0
    return tables * width + projection + head + blocks


def kernel_parameters(config: TransformerConfig, inputs: int, outputs: int) -> int:
    """Returns the parameters of a kernel, or of its two factors where these are fewer."""
    whole = inputs * outputs
    return min(whole, config.rank * (inputs + outputs)) if config.rank else whole


def step_bytes(model: keras.Model, tokens: int, length: int, copies: int) -> int:
    """Returns the bytes that a training step needs at least, see `check_training`."""
    weights = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    values = 0
    for layer in model._flatten_layers():
        if isinstance(layer, KernelLayer):
            # A convolution has more places than tokens.
            values += layer.kernel.shape[-1]
        elif isinstance(layer, MultiHeadAttention):
            values += layer.num_heads * length
    is_counted = LOGITS_HEAD in {layer.name for layer in model.layers}
    if len(model.outputs[0].shape) == 3 and not is_counted:
        values += model.outputs[0].shape[-1]
    return _FLOAT * (weights * (1 + copies) + tokens * values)


def machine_bytes() -> int:
    """Returns the memory of this machine, or what a container allows of it."""
    found = [_physical_bytes()]
    for path in map(Path, _LIMITS):
        if path.exists() and (limit := path.read_text(encoding="ascii").strip()).isdecimal():
            found.append(int(limit))
    return min(found)


def _physical_bytes() -> int:
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kilobytes = ctypes.c_ulonglong()
    ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
    return 1024 * kilobytes.value


def _blocks(config: TransformerConfig) -> int:
    layers = 1 if config.share_layers else config.num_layers
    return layers + (config.encoder_depth if config.architecture == "encoder-decoder" else 0)


def _has_gpu() -> bool:
    return keras.config.backend() != "torch" and bool(keras.distribution.list_devices("gpu"))


def _check(what: str, needed: int, advice: str) -> None:
    available = machine_bytes()
    if needed > available:
        raise InputError(
            f"Expected {what} that fits in this machine's {available / 1e9:.1f} GB of memory, got "
            f"one of at least {_gigabytes(needed)} GB; {advice}."
        )


def _gigabytes(number: int) -> str:
    # In integers: a config's may be beyond a float.
    return f"{number // 10**9:,}" if number >= 10**11 else f"{number / 1e9:.1f}"
