"""Arrays in `.npz` files as columns of rows."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_transformer.zoo.errors import InputError, no_file


def read_arrays(path: str | Path) -> Mapping[str, np.ndarray]:
    """Reads the arrays of a `.npz` file by name, each with the rows along its first axis.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is damaged, holds objects, or an array has no rows.
    """
    path = Path(path)
    if not path.is_file():
        raise no_file(path)
    try:
        # Opened here: where NumPy raises, it would stay open.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in getattr(stored, "files", ())}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, MemoryError) as error:
        raise InputError(
            f"{path}: expected arrays as numpy.savez writes them, got what cannot be read "
            f"({error})."
        ) from None
    return {name: _column(array) for name, array in arrays.items() if array.ndim}


def _column(array: np.ndarray) -> np.ndarray:
    """An array with its texts decoded, and single values for rows of one."""
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
