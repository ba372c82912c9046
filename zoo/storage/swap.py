"""A folder put in the place of another by two renames, and what is left where they are cut off."""

import contextlib
import errno
from pathlib import Path

from keras_transformer.zoo.storage.beside import all_beside, check_absent, new_beside, remove
from keras_transformer.zoo.storage.locks import alone_in


def swap_in(partial: Path, path: Path, overwrite: bool) -> list[Path]:
    """Renames `partial` to `path`, and returns where what was there is now, to be removed.

    It comes back on failure. A folder that another process puts there in between is replaced too,
    or is an error where nothing is to be overwritten.
    """
    with alone_in(path.parent):
        return _swapped(partial, path, overwrite)


def _swapped(partial, path, overwrite):
    moved: list[Path] = []
    try:
        while True:
            check_absent(path, overwrite=overwrite)
            if path.exists():
                old = new_beside(path, "old")
                with contextlib.suppress(FileNotFoundError):
                    path.rename(old)
                    moved.append(old)
            try:
                partial.rename(path)
                return moved
            except OSError as error:
                # It may be gone again: what counts is that another process put it there.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
    except BaseException:
        if moved and not path.exists():
            moved.pop().rename(path)
        for old in moved:
            remove(old)
        raise


def finish_cut_off_swap(path: Path) -> None:
    """Brings back or clears away the old folders that a killed writer left, see `alone_in`."""
    for old in all_beside(path, "old"):
        if path.exists() or old.is_symlink():
            remove(old)
        else:
            # Unless another process did the same just now.
            with contextlib.suppress(FileNotFoundError):
                old.rename(path)
