"""Layers of a quantized model that stay float, selected by path patterns."""

import fnmatch
from collections.abc import Sequence

import keras

from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.quantization import Projection, QuantPoint
from keras_transformer.zoo.errors import InputError

# Inputs and outputs of blocks, which a neighbour's matmul may need as integers.
STREAM = ("norm_point", "final_point", "embedding_norm_point", "embedding_point")


def keep_float(model: keras.Model, patterns: Sequence[str]) -> None:
    """Makes layers of a built model compute in float.

    A pattern matches a layer with all its sublayers. `encoder/block_0` excludes the tensors stored
    between blocks, since the neighbours' matmuls read them; only their own names match them.

    Args:
        model: model built with bits.
        patterns: patterns of layer paths, with `*`, `?` and `[...]` as in a shell.

    Raises:
        InputError: if a pattern matches no layer that is rounded.
    """
    layers = rounded_layers(model)
    for pattern in patterns:
        kept = [layer for layer in layers if _matches(layer.path, pattern)]
        if not kept:
            raise InputError(
                f"Expected the pattern {pattern!r} to match the path of a layer, such as "
                f"{layers[0].path if layers else 'encoder/block_0/*'}; it matches none."
            )
        for layer in kept:
            layer.stay_float()


def rounded_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the quantization points, projections and tables of a built model that round."""
    # A layer that was never called is not built and has no path.
    return [one for one in model._flatten_layers() if one.built and _is_rounded(one)]


def _is_rounded(layer):
    if isinstance(layer, QuantPoint):
        return layer.bits is not None
    return isinstance(layer, Projection | TokenEmbedding) and layer.kernel_bits is not None


def _matches(path, pattern):
    if not any(fnmatch.fnmatchcase(path, one) for one in (pattern, f"{pattern}/*")):
        return False
    name = path.rpartition("/")[2]
    return name not in STREAM or pattern.rpartition("/")[2] == name
