"""Low-rank adaptation (LoRA): only small factors beside the kernels, and the head, are trained.

Hu et al. 2021, arXiv:2106.09685. Adapters stand beside every kernel of the blocks, attention's and
the feed-forward layers'. Afterwards they are merged into the kernels, so that a checkpoint with
them is one like any other.
"""

import re

import keras
import numpy as np
from keras import ops

from keras_transformer.adapters import LowRankAdapter
from keras_transformer.quantization import Projection
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers, get_weights

_IN_BLOCK = re.compile(r"\w+/block_\d+/")
_ADAPTER = "adapter"
# Ends of the paths of an adapter's factors.
FACTORS = (f"/{_ADAPTER}/down", f"/{_ADAPTER}/up")
# Layers that are new, or that belong to the head, and stay trainable.
HEAD = ("head/", "pooler/")


def add_adapters(model: keras.Model, rank: int) -> None:
    """Adds adapters to the projections of a model's blocks, and freezes what is not the head.

    Args:
        model: built model.
        rank: rank of the adapters.

    Raises:
        InputError: if the rank is not below the width of a kernel.
    """
    projections = adapted(model)
    smallest = min(min(one.kernel.shape) for one in projections)
    if not 0 < rank < smallest:
        raise InputError(
            f"Expected lora to be below {smallest}, the width of the smallest kernel, "
            f"got lora={rank}."
        )
    for weight in model.weights:
        weight.trainable = weight.path.startswith(HEAD)
    for one in projections:
        one.adapt(LowRankAdapter(one.units, rank, dtype=one.dtype_policy, name=_ADAPTER))


def adapted(model: keras.Model) -> list[Projection]:
    """Returns the projections of a model's blocks."""
    return [
        one for one in all_layers(model)
        if isinstance(one, Projection) and one.built and _IN_BLOCK.match(one.path)
    ]  # fmt: skip


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
