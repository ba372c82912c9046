"""The largest batch whose training step fits in a device's memory."""

import json
from collections.abc import Callable
from pathlib import Path

import keras

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.memory import machine_bytes

# Others need not have it.
if keras.config.backend() == "jax":
    import jax

# A recipe's `batch_tokens` until the largest batch is found.
AUTO = 0
LEAST_TOKENS, MOST_TOKENS = 256, 2**16
# Steps of an epoch that a larger batch must leave: a run of few steps learns little.
LEAST_STEPS = 16
# Share of the memory that a step may have: of a device, whose steps are compiled and measured, and
# of a machine, for which their least is estimated.
_OF_DEVICE, _OF_MACHINE = 0.9, 0.5


def device_bytes() -> int | None:
    """Returns the memory of a device of its own, such as a GPU; None where it is the machine's."""
    if keras.config.backend() != "jax":
        return None
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def usable_bytes() -> int:
    """Returns the memory that a step may have."""
    device = device_bytes()
    return int(_OF_MACHINE * machine_bytes() if device is None else _OF_DEVICE * device)


def largest_batch(
    bytes_of: Callable[[int], int], steps_of: Callable[[int], int], available: int
) -> int:
    """Returns the largest power of two of tokens whose step fits, `LEAST_TOKENS` or more.

    The memory of a step is nearly linear in the tokens, so that a few sizes are measured.

    Args:
        bytes_of: function from a number of tokens to the memory of a step on such a batch.
        steps_of: function from a number of tokens to the steps of an epoch.
        available: memory in bytes.

    Raises:
        InputError: if no step fits.
    """
    first = bytes_of(LEAST_TOKENS)
    if first > available:
        raise InputError(
            f"Expected a model whose step on {LEAST_TOKENS} tokens fits in {available / 1e9:.1f} "
            f"GB, got one of {first / 1e9:.1f} GB; make the model or max_length smaller."
        )
    by_token = (bytes_of(4 * LEAST_TOKENS) - first) / (3 * LEAST_TOKENS)
    tokens = LEAST_TOKENS
    while (
        2 * tokens <= MOST_TOKENS
        and first + by_token * (2 * tokens - LEAST_TOKENS) <= available
        and steps_of(2 * tokens) >= LEAST_STEPS
    ):
        tokens *= 2
    while tokens > LEAST_TOKENS and bytes_of(tokens) > available:
        tokens //= 2
    return tokens


def found_before(*folders: Path | None) -> int:
    """Returns the tokens of a batch of a run that is resumed, by a recipe of it; else `AUTO`."""
    for folder in folders:
        if folder is not None and (folder / "recipe.json").is_file():
            text = (folder / "recipe.json").read_text(encoding="utf-8")
            return json.loads(text)["data"]["batch_tokens"]
    return AUTO
