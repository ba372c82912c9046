"""Random states of Python and NumPy, which a run seeds and its caller keeps."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def random_state_kept() -> Iterator[None]:
    """Restores on the way out what `keras.utils.set_random_seed` set of Python's and NumPy's.

    The seed of Keras and its backend stays that of the run, for neither says what it was before.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
