"""Arrays in `.npz` files as columns of rows."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.errors import InputError, no_file


def read_arrays(
    path: str | Path, columns: Sequence[str] = (), beside: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Reads the arrays of a `.npz` file by name, each with the rows along its first axis.

    Args:
        path: the file.
        columns: names of the arrays of rows.
        beside: names of an array with what belongs to those rows, one value or one for each, such
            as a rate; each of them is then a pair of a row and its value.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is damaged, holds objects, or there are more or fewer values than rows.
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
    found = {name: _column(array) for name, array in arrays.items() if array.ndim}
    values = [name for name in beside if name in arrays]
    if len(values) > 1:
        raise InputError(f"{path}: expected one of the arrays {' and '.join(values)}, got both.")
    for name in set(columns) & set(found) if values else ():
        found[name] = _pairs(path, found[name], values[0], arrays[values[0]])
    return found


def array_names(path: str | Path) -> list[str]:
    """Returns the names of the arrays of a `.npz` file; none of what is no such file."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as file:
        return [name.removesuffix(".npy") for name in file.namelist()]


def _pairs(path, rows, name, values):
    if values.size != 1 and values.shape != (len(rows),):
        raise InputError(
            f"{path}: expected one value of {name!r}, or one for each of {len(rows)} rows, got an "
            f"array of shape {values.shape}."
        )
    return list(zip(rows, np.broadcast_to(values.ravel(), len(rows)), strict=True))


def _column(array: np.ndarray) -> np.ndarray:
    """An array with its texts decoded, and single values for rows of one."""
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
