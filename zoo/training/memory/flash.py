"""Attention in training by cuDNN's kernel, which holds no scores (flash attention)."""

import functools

import keras

from keras_transformer.flash import use_kernel
from keras_transformer.stacks import Decoder, Encoder
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers
from keras_transformer.zoo.models.fused_config import Config, members_of
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.ways import JOINT

# Others need not have it.
if keras.config.backend() == "jax":
    import jax
    import jax.numpy as jnp

# Of `jax.nn.dot_product_attention`; its "xla" computes the same on any device, and holds scores.
IMPLEMENTATION = "cudnn"
# A head's widths are multiples of this, up to those of GPUs of a compute capability and above
# (jax._src.cudnn.fused_attention_stablehlo, check_is_flash_attention).
_STEP = 8
# In training the numbers of positions are multiples of this (there).
_EVEN = 2
_WIDEST = {(9, 0): 256, (8, 0): 128}


def check_machine(dtype: str) -> None:
    """Checks that a run's steps can have the kernel.

    Args:
        dtype: the recipe's option of that name.

    Raises:
        InputError: if the backend is not JAX, there is no CUDA GPU of Ampere or later, or the run
            does not compute in 16 bits.
    """
    backend = keras.config.backend()
    if backend != "jax":
        raise InputError(
            "Expected Keras' backend to be jax for flash_attention, got "
            f"{backend}; set KERAS_BACKEND=jax."
        )
    capability = compute_capability()
    if capability is None:
        raise InputError(
            "Expected a CUDA GPU for flash_attention, got a machine on which JAX computes on "
            f"{jax.default_backend()}; train without it."
        )
    if capability < min(_WIDEST):
        raise InputError(
            "Expected a GPU of compute capability 8.0 or higher for flash_attention, got "
            f"{'.'.join(map(str, capability))}; train without it."
        )
    if dtype == "float32":
        raise InputError(
            "Expected dtype to be mixed_bfloat16 or mixed_float16 for flash_attention, whose "
            f"kernel reads 16 bits, got dtype={dtype!r}; add --mixed-precision bfloat16."
        )


def check_model(config: Config, objective: str) -> None:
    """Checks that the kernel computes what a model's attention does.

    Args:
        config: config of the model.
        objective: the recipe's option of that name.

    Raises:
        InputError: if its probabilities are dropped, its scores have a bias or a mask that is not
            the padding at a row's end and the causal one, or the kernel has not its heads' width.
    """
    for one in members_of(config):
        if one.attention_dropout:
            raise InputError(
                "Expected attention_dropout to be 0 for flash_attention, whose kernel holds no "
                f"probabilities to drop, got attention_dropout={one.attention_dropout}; add --set "
                "attention_dropout=0."
            )
        if one.score_bias is not None:
            raise InputError(
                "Expected positions without a bias of the scores for flash_attention, got "
                f"{one.score_bias}; train without it."
            )
        if one.window and one.architecture != "decoder":
            raise InputError(
                "Expected no window of attention to both sides for flash_attention, whose kernel "
                f"has one to earlier positions alone, got window={one.window}; train without it."
            )
        widest = next(width for least, width in _WIDEST.items() if compute_capability() >= least)
        if one.head_width % _STEP or one.head_width > widest:
            raise InputError(
                f"Expected the width of a head to be a multiple of {_STEP} and at most {widest} "
                f"for flash_attention on this GPU, got {one.head_width}; change num_heads, or "
                "train without it."
            )
    if isinstance(config, SeveralConfig) and config.fusion == JOINT and "text" in config.members:
        raise InputError(
            "Expected fusion to be late or cross for flash_attention, whose kernel expects padding "
            f"at the end of a sequence, got fusion={config.fusion!r}."
        )
    if objective == "replaced":
        # What its generator draws may be [PAD] amid a row.
        raise InputError(
            "Expected objective to be masked for flash_attention, which reads lengths, got "
            f"objective={objective!r}."
        )


def compute_capability() -> tuple[int, int] | None:
    """Returns that of the CUDA GPU on which JAX computes; None without one."""
    device = jax.local_devices()[0]
    if device.platform != "gpu" or "cuda" not in device.client.platform_version:
        return None
    major, minor = device.compute_capability.split(".")
    return int(major), int(minor)


def use_flash_attention(model: keras.Model, is_on: bool) -> None:
    """Makes a model's attention in training the kernel's, or its own path's.

    Whatever does not train (validation, predictions, decoding) has the model's own path.
    """
    kernel = functools.partial(_attend, IMPLEMENTATION) if is_on else None
    for layer in all_layers(model):
        if isinstance(layer, Encoder | Decoder):
            use_kernel(layer, kernel)


def _attend(implementation, q, keys, values, lengths, *, causal, window):
    count, length = q.shape[1], keys.shape[1]
    if lengths is None and length % _EVEN and not causal:
        lengths = jnp.full(len(q), length, "int32")
    q, keys, values = (_even(one) for one in (q, keys, values))
    context = jax.nn.dot_product_attention(
        q, keys, values, scale=1.0, is_causal=causal, key_value_seq_lengths=lengths,
        # It counts the positions before, of which ours is the first distance too far.
        local_window_size=(window - 1, 0) if window else None, implementation=implementation,
    )  # fmt: skip
    return context[:, :count]


def _even(x):
    """Heads (B, T, H, K), of an odd T with one more position of zeros, which none attends to."""
    return jnp.pad(x, ((0, 0), (0, x.shape[1] % _EVEN), (0, 0), (0, 0)))
