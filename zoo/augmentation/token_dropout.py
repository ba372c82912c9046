"""Token dropout: training on texts of which some tokens are hidden."""

from collections.abc import Mapping

import numpy as np

MASK_ID, FIRST_ORDINARY_ID = 4, 5
READ_TOKENS = ("ids", "source_ids")


def drop_tokens(
    inputs: Mapping[str, np.ndarray], rate: float, seed: int, step: int
) -> Mapping[str, np.ndarray]:
    """Replaces a fraction of the ordinary tokens by [MASK], drawn by seed, column and step.

    Args:
        inputs: columns of a batch by name, of which those of tokens are read.
        rate: fraction; 0 for none.
        seed, step: seed of the run, and the step's number.
    """
    if not rate:
        return inputs
    found = dict(inputs)
    for column, (name, ids) in enumerate(inputs.items()):
        if name in READ_TOKENS:
            rng = np.random.default_rng((seed, 1 + column, step))
            dropped = rng.random(ids.shape) < rate
            found[name] = np.where(dropped & (ids >= FIRST_ORDINARY_ID), np.int32(MASK_ID), ids)
    return found
