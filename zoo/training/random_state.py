"""Preservation of the caller's random states of Python and NumPy during a seeded run."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def random_state_kept() -> Iterator[None]:
    """Restores on exit the random states of Python and NumPy that `set_random_seed` changes.

    Keras and its backend retain the seed of the run, since their earlier seed cannot be read.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
