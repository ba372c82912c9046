"""Keras layers of the Transformer, on TensorFlow, JAX and PyTorch.

Shapes in the docstrings use these letters: B batch, T target length, S source length, D hidden
width, H heads, KV key-value heads, K head width, F intermediate width, V vocabulary.

Layers are imported when they are first asked for, so that `keras_transformer.edge.runtime` can be
imported on a device that has no Keras.
"""

import importlib

_MODULES = {
    "attention": ("MultiHeadAttention",),
    "blocks": ("DecoderBlock", "EncoderBlock"),
    "dropout": ("Dropout",),
    "embeddings": ("SegmentEmbedding", "TokenEmbedding"),
    "feedforward": ("FeedForward",),
    "low_rank": ("LowRankProjection",),
    "masks": ("attention_bias", "causal_bias"),
    "normalization": ("LayerNorm", "RMSNorm"),
    "positions": (
        "AlibiBias",
        "LearnedPositionalEncoding",
        "RelativePositionBias",
        "RotaryEmbedding",
        "SinusoidalPositionalEncoding",
    ),
    "quantization": ("Projection", "QuantPoint"),
    "residual": ("Residual",),
    "stacks": ("Decoder", "Encoder"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name):
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__():
    return __all__
