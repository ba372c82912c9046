"""Low-rank adaptation (LoRA): only small factors beside the kernels, and the head, are trained.

Hu et al. 2021, arXiv:2106.09685. Adapters stand beside kernels of the blocks, selected by path
patterns: those of queries and values (section 4.2), or others of attention and the feed-forward
layers. Afterwards they are merged into the kernels, so that a checkpoint with them is one like any
other.
"""

import fnmatch
import re

import keras
import numpy as np
from keras import ops

from keras_transformer.adapters import LowRankAdapter
from keras_transformer.quantization import Projection
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers, get_weights
from keras_transformer.zoo.models.heads import POOLER, is_of_head

_IN_BLOCK = re.compile(r"\w+/block_\d+/")
_ADAPTER = "adapter"
# Ends of the paths of an adapter's factors.
FACTORS = (f"/{_ADAPTER}/down", f"/{_ADAPTER}/up")


def add_adapters(model: keras.Model, rank: int, layers: str = "*") -> None:
    """Adds adapters to projections of a model's blocks, and freezes what is not the head.

    Args:
        model: built model.
        rank: rank of the adapters.
        layers: patterns of the projections, see `projections_of`.

    Raises:
        InputError: if the rank is not below the width of a kernel, or a pattern matches nothing.
    """
    projections = projections_of(model, layers)
    smallest = min(min(one.kernel.shape) for one in projections)
    if not 0 < rank < smallest:
        raise InputError(
            f"Expected lora to be below {smallest}, the width of the smallest kernel, "
            f"got lora={rank}."
        )
    for weight in model.weights:
        weight.trainable = is_trained_whole(weight.path)
    for one in projections:
        one.adapt(LowRankAdapter(one.units, rank, dtype=one.dtype_policy, name=_ADAPTER))


def is_trained_whole(path: str) -> bool:
    """Whether a weight is new, or belongs to the head, and so is trained itself."""
    return is_of_head(path) or path.startswith(POOLER)


def projections_of(model: keras.Model, layers: str = "*") -> list[Projection]:
    """Returns projections of a model's blocks.

    Args:
        model: built model.
        layers: patterns of the paths of layers, or of the ends of their paths, separated by
            commas, with `*`, `?` and `[...]` as in a shell; each matches a layer with all its
            sublayers: `query,value`, `feed_forward`, `encoder/block_[4-5]`, or `*` for all.

    Raises:
        InputError: if a pattern matches nothing, or there is none.
    """
    known = [
        one for one in all_layers(model)
        if isinstance(one, Projection) and one.built and _IN_BLOCK.match(one.path)
    ]  # fmt: skip
    patterns = list(filter(None, map(str.strip, layers.split(","))))
    for pattern in patterns or [layers]:
        if not any(_matches(one.path, pattern) for one in known):
            raise InputError(
                f"Expected the pattern {pattern!r} of lora_layers to match the path of a layer "
                f"with a kernel in a block, such as {known[0].path}, or its end; it matches none."
            )
    return [one for one in known if any(_matches(one.path, pattern) for pattern in patterns)]


def adapted(model: keras.Model) -> list[Projection]:
    """Returns the projections of a model that have adapters."""
    return [one for one in projections_of(model) if one.adapter is not None]


def factors_of(projection: Projection) -> tuple[str, str]:
    """Returns the paths of the factors of a projection's adapter, the first and the second."""
    down, up = (f"{projection.path}{factor}" for factor in FACTORS)
    return down, up


def merged_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the weights by path of a model without adapters that computes the same."""
    weights = {
        path: value for path, value in get_weights(model).items() if f"/{_ADAPTER}/" not in path
    }
    for one in adapted(model):
        path = one.kernel.path
        weights[path] = weights[path] + ops.convert_to_numpy(one.adapter.change)
    return weights


def _matches(path: str, pattern: str) -> bool:
    ends = (pattern, f"*/{pattern}")
    return any(fnmatch.fnmatchcase(path, f"{end}{rest}") for end in ends for rest in ("", "/*"))
