"""Rotation of the residual stream, after which none of its channels is huge.

An RMS norm without a gamma commutes with an orthogonal matrix R (QuaRot, Ashkboos et al. 2024,
arXiv:2404.00456, section 4, after SliceGPT, arXiv:2401.15024). So each gamma moves into the kernels
W behind its norm, which become R^T W; the token table E becomes E R, and the kernels that write the
stream W R. In float the outputs stay the same but for rounding, and the rows that a device rounds
have no outliers where they are read from the stream.
"""

import dataclasses

import numpy as np

from keras_transformer.blocks import DecoderBlock
from keras_transformer.edge.quantize.seams import seams
from keras_transformer.stacks import Decoder
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers, build, get_weights, set_weights
from keras_transformer.zoo.models.config_checks import ADDED_POSITIONS
from keras_transformer.zoo.models.fused_config import check_single
from keras_transformer.zoo.models.running.unset import unset_weights

_TABLE, _BIAS = "token_embedding/embeddings", "token_embedding/logits_bias"
_HEAD, _HEAD_BIAS = "logits_head/kernel", "logits_head/bias"


def rotation(width: int) -> np.ndarray:
    """Returns an orthogonal matrix (width, width) that spreads each channel evenly over all.

    It is a Hadamard matrix with random signs of its rows; where the width is no power of two, its
    Kronecker product with the matrix of a discrete Hartley transform (Bracewell 1983), whose
    entries are not all of one size.
    """
    odd = width
    hadamard = np.ones((1, 1))
    while odd % 2 == 0:
        odd //= 2
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    angles = 2 * np.pi * np.outer(np.arange(odd), np.arange(odd)) / odd
    turn = np.kron(np.cos(angles) + np.sin(angles), hadamard) / np.sqrt(width)
    return np.random.default_rng(0).choice([-1.0, 1.0], width)[:, None] * turn


def check_rotation(checkpoint: Checkpoint) -> None:
    """Raises InputError if a checkpoint's residual stream cannot be rotated."""
    if checkpoint.is_quantized:
        raise InputError("Expected a float checkpoint to rotate, got a quantized one.")
    config = checkpoint.config
    check_single(config, "to rotate")
    needed = {
        "architecture": "decoder", "norm": "rms_norm", "pre_norm": True, "sandwich_norms": False,
        "first_norm": True, "has_embedding_norm": False, "rank": 0,
    }  # fmt: skip
    for name, value in needed.items():
        if (found := getattr(config, name)) != value:
            raise InputError(
                "Expected a decoder with an RMS norm before each layer and no others to rotate, "
                f"got {name}={found}; leave --rotate out."
            )
    if config.positions in ADDED_POSITIONS:
        raise InputError(
            "Expected no positions that are added to the embeddings of a model to rotate, got "
            f"positions={config.positions}; leave --rotate out."
        )


def rotated(checkpoint: Checkpoint) -> Checkpoint:
    """Returns a checkpoint of the same function with a rotated residual stream.

    Its logits have a kernel of their own, since the gamma of the last norm is in it.

    Args:
        checkpoint: a float decoder.

    Raises:
        InputError: if the model does not fit, see `check_rotation`.
    """
    check_rotation(checkpoint)
    config = checkpoint.config.replace(tied_head=False)
    weights = {path: np.float64(value) for path, value in get_weights(checkpoint.model).items()}
    if checkpoint.config.tied_head:
        weights[_HEAD] = weights[_TABLE].T
        if _BIAS in weights:
            weights[_HEAD_BIAS] = weights.pop(_BIAS)
    turn = rotation(config.hidden_dim)

    def read(path, *kernels):
        gamma = weights[path][:, None]
        for kernel in kernels:
            weights[kernel] = turn.T @ (gamma * weights[kernel])
        weights[path] = np.ones(len(gamma))

    def write(layer):
        weights[layer.kernel.path] = weights[layer.kernel.path] @ turn
        if layer.use_bias:
            weights[layer.bias.path] = weights[layer.bias.path] @ turn

    weights[_TABLE] = weights[_TABLE] @ turn
    for seam in seams(checkpoint.model):
        if not seam.adds:  # behind a norm without beta
            read(seam.writers[0], *(one.kernel.path for one in seam.readers))
    for layer in all_layers(checkpoint.model):
        if isinstance(layer, DecoderBlock):
            write(layer.attention.sublayer.output_projection)
            write(layer.feed_forward.sublayer.down)
        elif isinstance(layer, Decoder):
            read(layer.final_norm.gamma.path, _HEAD)
    with unset_weights():
        model = build(config, checkpoint.task)
    set_weights(model, {path: np.float32(value) for path, value in weights.items()})
    return dataclasses.replace(checkpoint, config=config, model=model)
