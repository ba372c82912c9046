"""Returns freed memory to the system."""

import ctypes
import gc
import sys


def release_freed_memory() -> None:
    """Frees unreachable objects, and makes glibc return what was freed to the system.

    Graphs refer to themselves, and the converter frees a gigabyte in small pieces, which glibc
    would keep for the process: what comes next takes its memory on top of it. The latter does
    nothing where the C library has no malloc_trim.
    """
    gc.collect()
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
