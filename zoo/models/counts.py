"""Costs of a built model: its parameters, and the multiply-adds of its matrix products."""

import math

import keras

from keras_transformer.attention import MultiHeadAttention
from keras_transformer.convolution import Convolution
from keras_transformer.quantization import KernelLayer
from keras_transformer.stacks import Decoder
from keras_transformer.zoo.layer_names import without_prefix
from keras_transformer.zoo.models.build import is_range
from keras_transformer.zoo.models.heads import LOGITS_HEAD, TIED_BIAS, is_of_head

_CROSS = "/cross_attention/"


def parameters(model: keras.Model) -> int:
    """Returns the number of parameters, without a task's head, which models are compared without.

    Nor are ranges counted; tied tables are counted once.
    """
    # The bias of tied logits is a decoder's own, but an encoder's head.
    writes = any(isinstance(layer, Decoder) for layer in model.layers)
    return sum(
        math.prod(weight.shape)
        for layer in model.layers
        if not is_of_head(layer.name)
        for weight in layer.weights
        if not is_range(weight.path) and (writes or weight.path != TIED_BIAS)
    )


def multiply_adds(model: keras.Model, length: int) -> int:
    """Returns the multiply-adds of a pass over `length` tokens (of source and target each).

    A model whose inputs have one size passes over one of them.

    The matrix products are counted: projections, convolutions, scores, contexts, feed-forward
    layers, and the logits of decoders at every position; look-ups, norms, activations and a task's
    head are not.
    """
    total, layers = 0, {layer.name: layer for layer in model.layers}
    for layer in model.layers:
        if is_of_head(layer.name):
            continue
        prefix = layer.name.removesuffix(without_prefix(layer.name))
        source = layers.get(f"{prefix}encoder")
        read = (None if source is None else source.output.shape[1]) or length
        for inner in layer._flatten_layers():
            # Inputs of one size have their own length; (B, D) is one vector of each text.
            vectors = (layer.output.shape[1] or length) if len(layer.output.shape) == 3 else 1
            attended = vectors
            # A layer without weights of its own may not be built, and has no path.
            if isinstance(layer, Decoder) and _CROSS in (inner.path or ""):
                attended = read
            if isinstance(inner, KernelLayer):
                if isinstance(inner, Convolution):
                    vectors = inner.num_places
                rows = attended if inner.path.split("/")[-1] in ("key", "value") else vectors
                total += rows * math.prod(inner.kernel.shape)
            elif isinstance(inner, MultiHeadAttention):
                total += 2 * vectors * attended * inner.num_heads * inner.width
        if isinstance(layer, Decoder) and f"{prefix}{LOGITS_HEAD}" not in layers:
            total += length * math.prod(layers[f"{prefix}token_embedding"].embeddings.shape)
    return total
