"""Returns freed memory to the system."""

import ctypes
import gc
import sys

import keras

# Parameters from which on freed memory is worth the half second of its collection.
_LARGE = 20_000_000


def release_freed_memory(model: keras.Model) -> None:
    """Frees unreachable objects of a large model, and makes glibc return what was freed.

    Graphs refer to themselves, and the converter frees a gigabyte in small pieces, which glibc
    would keep for the process: what comes next takes its memory on top of it. The latter does
    nothing where the C library has no malloc_trim.

    Args:
        model: the model that is converted; nothing is done for a small one.
    """
    if model.count_params() <= _LARGE:
        return
    gc.collect()
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
