"""Structured pruning: removes the heads, neurons and blocks that matter least.

Michel et al. 2019, arXiv:1905.10650, for heads. The input is importance scores measured on data;
the output is the config of a smaller model and its weights.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig

Weights = Mapping[str, np.ndarray]
_BLOCK = re.compile(r"(?P<stack>[^/]+)/block_(?P<number>\d+)/(?P<rest>.+)")
# Projections of which each head or neuron owns columns, and those of which it owns rows.
_COLUMNS_OF_HEADS, _ROWS_OF_HEADS = ("query", "key", "value"), "output"
_COLUMNS_OF_NEURONS, _ROWS_OF_NEURONS = ("up", "gate"), "down"
_SHARED_BIAS = "position_bias/embeddings"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Importance:
    """Importance of each head and neuron to the loss, on any scale that is uniform in a layer.

    Attributes:
        heads: scores (H,) by the path of an attention, such as
            `encoder/block_0/attention/sublayer`.
        neurons: scores (F,) by the path of a feed-forward layer.
    """

    heads: Mapping[str, np.ndarray]
    neurons: Mapping[str, np.ndarray]


def smaller(
    config: TransformerConfig, *, heads: int | None = None, neurons: int | None = None,
    layers: int | None = None,
) -> TransformerConfig:  # fmt: skip
    """Returns the config with fewer heads, neurons and layers; None leaves a number as it is.

    Raises:
        InputError: if a number is not from 1 to the model's, or heads cannot be removed.
    """
    now = {
        "heads": config.num_heads, "neurons": config.intermediate_dim, "layers": config.num_layers
    }  # fmt: skip
    asked = {"heads": heads, "neurons": neurons, "layers": layers}
    for name, number in asked.items():
        if number is not None and not 1 <= number <= now[name]:
            raise InputError(
                f"Expected {name} to be from 1 to the model's {now[name]}, got {name}={number}."
            )
    changes = {}
    if config.share_layers and (heads or neurons):
        raise InputError(
            "Expected all heads and neurons to stay in a model whose blocks share their weights, "
            f"got heads={heads}, neurons={neurons}; give layers."
        )
    differ = len(set(config.layer_pattern)) > 1 or not config.first_norm
    if layers is not None and layers < config.num_layers and (differ or config.encoder_layers):
        kind = "layers are of several kinds" if differ else "encoder has another number of them"
        raise InputError(
            f"Expected all layers to stay in a model whose {kind}, got layers={layers}; give heads "
            "or neurons."
        )
    if heads is not None and heads < config.num_heads:
        _check_heads(config, heads)
        changes = {"num_heads": heads, "head_dim": config.head_width}
        if config.num_key_value_heads == config.num_heads:
            changes["num_key_value_heads"] = heads
    return config.replace(
        **changes, intermediate_dim=neurons or now["neurons"], num_layers=layers or now["layers"]
    )


def _check_heads(config: TransformerConfig, heads: int) -> None:
    if heads % _groups(config):
        raise InputError(
            f"Expected heads to be a multiple of the model's {config.num_key_value_heads} "
            f"key-value heads, got heads={heads}."
        )
    if config.score_bias == "alibi":
        raise InputError(
            "Expected all heads to stay in a model with alibi positions, whose slopes follow from "
            f"their number, got heads={heads}; give neurons or layers."
        )


def narrowed(
    config: TransformerConfig, weights: Weights, importance: Importance, *,
    heads: int | None = None, neurons: int | None = None,
) -> tuple[TransformerConfig, dict[str, np.ndarray]]:  # fmt: skip
    """Returns a config and weights with the most important heads and neurons of each block.

    Heads that share keys and values stay in groups of equal size, and all groups stay. Where the
    blocks of a stack share a position bias, they keep the same heads of self-attention.

    Args:
        config: config of the weights.
        weights: arrays by weight path, see `models.get_weights`.
        importance: importance of the heads and neurons to select from.
        heads, neurons: number to keep in each attention and feed-forward layer; None for all.

    Raises:
        InputError: see `smaller`.
    """
    result, new = dict(weights), smaller(config, heads=heads, neurons=neurons)
    if new.num_heads < config.num_heads:
        has_own_keys = config.num_key_value_heads in (0, config.num_heads)
        columns = _COLUMNS_OF_HEADS if has_own_keys else _COLUMNS_OF_HEADS[:1]
        for path, scores in _shared(config, importance.heads).items():
            kept = most_important(scores, new.num_heads, _groups(config))
            stack, _, place = path.split("/", 2)
            if config.score_bias == "t5" and place.startswith("attention/"):
                table = f"{stack}/{_SHARED_BIAS}"
                result[table] = weights[table][:, kept]
            of_heads = kept[:, None] * config.head_width + np.arange(config.head_width)
            _keep(result, path, of_heads.ravel(), columns, _ROWS_OF_HEADS)
    if new.intermediate_dim < config.intermediate_dim:
        for path, scores in importance.neurons.items():
            kept = most_important(scores, new.intermediate_dim)
            _keep(result, path, kept, _COLUMNS_OF_NEURONS, _ROWS_OF_NEURONS)
    return new, result


def shortened(
    config: TransformerConfig, weights: Weights, kept: Mapping[str, Sequence[int]]
) -> tuple[TransformerConfig, dict[str, np.ndarray]]:
    """Returns a config and weights with a selection of blocks of each stack, in order.

    Args:
        config: config of the weights.
        weights: arrays by weight path.
        kept: indices of the blocks to keep by name of the stack, the encoder first.
    """
    depths = [len(numbers) for numbers in kept.values()]
    first, last = depths[0], depths[-1]
    config = config.replace(num_layers=last, encoder_layers=first if first != last else 0)
    if config.share_layers:
        return config, dict(weights)
    result = {}
    for path, value in weights.items():
        match = _BLOCK.fullmatch(path)
        if match is not None:
            stack, number, rest = match.groups()
            numbers = sorted(kept[stack])
            if int(number) not in numbers:
                continue
            path = f"{stack}/block_{numbers.index(int(number))}/{rest}"
        result[path] = value
    return config, result


def most_important(scores: np.ndarray, count: int, groups: int = 1) -> np.ndarray:
    """Returns the ascending indices of the highest scores, equally many of each group.

    Args:
        scores: scores (n,), with those of a group side by side.
        count: number of indices, a multiple of `groups`.
        groups: number of groups of equal size.
    """
    by_group = np.reshape(scores, (groups, -1))
    ranked = np.argsort(-by_group, axis=1, kind="stable")[:, : count // groups]
    first = np.arange(groups)[:, None] * by_group.shape[1]
    return np.sort((ranked + first).ravel())


def _groups(config: TransformerConfig) -> int:
    """Number of groups of heads that share keys and values, and keep equally many."""
    shared = config.num_key_value_heads
    return shared if shared < config.num_heads and shared else 1


def _shared(config: TransformerConfig, heads: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scores, summed over the attentions of a stack that share a position bias."""
    if config.score_bias != "t5":
        return dict(heads)
    own = {path: path.split("/", 2)[::2] for path in heads}
    return {
        path: scores if own[path][1].startswith("cross_attention/")
        else sum(other for name, other in heads.items() if own[name] == own[path])
        for path, scores in heads.items()
    }  # fmt: skip


def _keep(
    weights: dict[str, np.ndarray], path: str, kept: np.ndarray, columns: Sequence[str], rows: str
) -> None:
    """Cuts a sublayer's projections into and out of its inner width to what is kept."""
    for name in columns:
        for part in ("kernel", "bias"):
            full = f"{path}/{name}/{part}"
            if full in weights:
                weights[full] = weights[full][..., kept]
    full = f"{path}/{rows}/kernel"
    weights[full] = weights[full][kept]
