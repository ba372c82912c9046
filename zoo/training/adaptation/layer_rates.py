"""Learning rates by depth: the nearer to the inputs, the smaller."""

import re
from collections.abc import Sequence

from keras_transformer.zoo.training.adaptation.freezing import is_embedding

_BLOCK = re.compile(r"(\w+)/block_(\d+)/")


def layer_rates(paths: Sequence[str], decay: float) -> dict[str, float]:
    """Returns the factor of the learning rate of each weight by path (Clark et al. 2020, ELECTRA).

    It is `decay ** depth`: the depth is 0 for the head and the last norm, 1 for the last block of a
    stack, and one more for each block below it; embeddings are below the first block of all.

    Args:
        paths: paths of a model's weights.
        decay: factor of a block over the next one towards the output.
    """
    places = [match.groups() if (match := _BLOCK.match(path)) else None for path in paths]
    blocks: dict[str, int] = {}
    for stack, place in filter(None, places):
        blocks[stack] = max(blocks.get(stack, 0), int(place) + 1)
    rates = {}
    for path, found in zip(paths, places, strict=True):
        depth = 1 + max(blocks.values(), default=0) if is_embedding(path) else 0
        if found is not None:
            depth = blocks[found[0]] - int(found[1])
        rates[path] = decay**depth
    return rates
