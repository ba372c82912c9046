"""Layers of a quantized model that stay float or wide, selected by path patterns."""

import fnmatch
from collections.abc import Sequence

import keras

from keras_transformer.decisions import WIDE_BITS
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.normalization import LayerNorm
from keras_transformer.quantization import KernelLayer, Projection, QuantPoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.layer_names import without_prefix
from keras_transformer.zoo.models.heads import path_in_whole

# Suffix of the patterns of kernels that stay wide.
WIDE = "=int8"
# Inputs and outputs of blocks, which a neighbour's matmul may need as integers.
STREAM = ("norm_point", "final_point", "embedding_norm_point", "embedding_point")
# Projections of a sublayer that read its norm; cross attention's keys and values read the memory.
_BEHIND_NORM = (
    "attention/sublayer/query", "/attention/sublayer/key", "/attention/sublayer/value",
    "/feed_forward/sublayer/up",
)  # fmt: skip


def keep_layers(
    model: keras.Model, patterns: Sequence[str], *, head: str = "", is_tower: bool = False
) -> tuple[str, ...]:  # fmt: skip
    """Makes layers of a built model compute in float, or kernels stay wide among narrow ones.

    A pattern matches a layer with all its sublayers. `encoder/block_0` excludes the tensors stored
    between blocks, since the neighbours' matmuls read them; only their own names match them.

    Args:
        model: model built with bits.
        patterns: patterns of layer paths, with `*`, `?` and `[...]` as in a shell; those that end
            in `=int8` are of kernels that stay wide.
        head: name of the model's head in a model of several, whose layers the patterns are of;
            those that match other heads' layers alone are left out.
        is_tower: whether the head has an encoder of its own there.

    Returns:
        Patterns that match the same layers of this model.

    Raises:
        InputError: if a pattern matches no layer that is rounded, or no kernel of fewer bits.
    """
    layers, found = rounded_layers(model), []
    # What is named twice stays float.
    for one in sorted(patterns, key=lambda pattern: not pattern.endswith(WIDE)):
        pattern = one.removesuffix(WIDE)
        stays_wide = pattern != one
        candidates = [layer for layer in layers if _is_narrow(layer)] if stays_wide else layers
        kept = [layer for layer in candidates if _matches(_path(layer, head, is_tower), pattern)]
        found += [f"{layer.path}{WIDE if stays_wide else ''}" for layer in kept]
        if not kept and not head:
            what = f"kernel of fewer than {WIDE_BITS} bits" if stays_wide else "layer"
            raise InputError(
                f"Expected the pattern {pattern!r} to match the path of a {what}, such as "
                f"{candidates[0].path if candidates else 'encoder/block_0/*'}; it matches none."
            )
        for layer in kept:
            layer.stay_wide() if stays_wide else layer.stay_float()
    _round_rows_beside_floats(model, [one for one in layers if isinstance(one, QuantPoint)])
    return tuple(found) if head else tuple(patterns)


def _round_rows_beside_floats(model: keras.Model, points: Sequence[QuantPoint]) -> None:
    """Makes matmuls round the rows that they read where what they read or write stays float.

    Of such a matmul a device stores the kernel alone, and computes as in `dynamic_bits`. The points
    of pooled vectors, of memories and of convolutions are not looked for: with these alone in float
    a file departs from its simulation, and is refused.

    Args:
        model: the model.
        points: its points that rounded before any was made float.
    """
    paths = {one.path for one in points}
    floats = {one.path for one in points if one.stays_float}
    for layer in model._flatten_layers() if floats else ():
        is_matmul = isinstance(layer, KernelLayer | LayerNorm) and layer.row_bits is not None
        if is_matmul and layer.built and not floats.isdisjoint(_beside(layer.path, paths)):
            layer.stay_dynamic()


def _beside(path, points):
    """Paths of the points that store what a projection reads and writes, or what a norm writes."""
    whole, _, factor = path.rpartition("/")
    if factor == "reduce":
        return {*_read(whole), f"{whole}/reduced_point"}
    if factor == "expand":
        return {f"{whole}/reduced_point", _written(whole, points)}
    return {*_read(path), _written(path, points)}


def _read(path):
    is_behind = path.endswith(_BEHIND_NORM)
    return {f"{path.rpartition('/sublayer/')[0]}/norm_point"} if is_behind else set()


def _written(path, points):
    owner = path.rpartition("/")[0]
    own = f"{path}_point", f"{path.removesuffix('_norm')}_point"
    # A relu is a part of the projection before it.
    return next((one for one in own if one in points), f"{owner}/activation_point")


def rounded_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the quantization points, kernels' layers and tables of a built model that round."""
    # A layer that was never called is not built and has no path.
    return [one for one in model._flatten_layers() if one.built and _is_rounded(one)]


def _is_rounded(layer):
    if isinstance(layer, QuantPoint):
        return layer.bits is not None
    return isinstance(layer, KernelLayer | TokenEmbedding) and layer.kernel_bits is not None


def _is_narrow(layer):
    return isinstance(layer, Projection) and (layer.kernel_bits or WIDE_BITS) < WIDE_BITS


def _path(layer, head, is_tower):
    """A layer's path in the model of several heads, of which `head` is one."""
    return path_in_whole(layer.path, head, is_tower=is_tower) if head else layer.path


def _matches(path, pattern):
    if not any(fnmatch.fnmatchcase(path, one) for one in (pattern, f"{pattern}/*")):
        return False
    name = path.rpartition("/")[2]
    return without_prefix(name) not in STREAM or pattern.rpartition("/")[2] == name
