"""Memory allocation of the process of a training command."""

import ctypes
import sys

# glibc's malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_MAX.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_LARGEST = 2**31 - 1
_GROWTH = 64 * 2**20


def keep_freed_memory() -> None:
    """Makes glibc keep freed memory for the next step.

    A step frees hundreds of megabytes of temporaries. By default they are returned to the system,
    which provides them again page by page, each filled with zeros: up to half of a step's time.
    Does nothing where the C library has no mallopt.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _LARGEST)
        mallopt(_TOP_PAD, _GROWTH)
