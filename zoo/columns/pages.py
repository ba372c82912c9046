"""Pages of files that are mapped into the memory."""

import mmap

import numpy as np


def give_back(*arrays: np.ndarray) -> None:
    """Takes the pages of mapped files out of the process; what is read again is mapped again.

    After a pass over a whole array they would count as memory of the process until others need it.
    """
    for array in arrays:
        mapped = getattr(array, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
