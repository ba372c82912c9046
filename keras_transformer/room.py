"""The room in caches and tables of positions, which a graph would silently clamp a place into."""

import contextlib
import contextvars

import keras
import numpy as np
from keras import ops

# What messages call the position of the first input in a cache, and the cache's length.
CACHE_NAMES = ("cache_index", "cache_length")
_CHECKED = contextvars.ContextVar("places_are_checked", default=False)


@contextlib.contextmanager
def checked_places():
    """Promises, inside the context, that every place is within its cache or table.

    Graphs that are traced inside it have no op that finds out.
    """
    token = _CHECKED.set(True)
    try:
        yield
    finally:
        _CHECKED.reset(token)


def known(index):
    """Returns an index as an integer, or None if only the run of a traced graph gives its value."""
    if isinstance(index, int | np.integer):
        return int(index)
    if keras.config.backend() == "jax" and ops.is_tensor(index):
        try:
            return int(index)
        except TypeError:  # a tracer
            return None
    # Tensors of torch are left to the run: to read them would break its export.
    is_eager = keras.config.backend() == "tensorflow" and hasattr(index, "numpy")
    return int(index.numpy()) if is_eager else None


def within(x, start, length, size, names):
    """Returns a tensor as it is, where `length` places from `start` on are among `size`.

    Args:
        x: tensor of floats. Where only the run of a graph finds out that they are not, it becomes
            NaN there.
        start, length, size: integers or scalar tensors.
        names: what messages call the start and the size.

    Raises:
        ValueError: if they are not, and the start is known.
    """
    if _CHECKED.get():
        return x
    first = known(start)
    if first is None or not isinstance(length, int) or not isinstance(size, int):
        fits = ops.logical_and(ops.greater_equal(start, 0), ops.less_equal(start + length, size))
        return ops.where(fits, x, ops.full_like(x, float("nan")))
    if not 0 <= first <= size - length:
        raise ValueError(
            f"Expected positions from 0 to below {names[1]}, got T={length} from "
            f"{names[0]}={first} with {names[1]}={size}."
        )
    return x
