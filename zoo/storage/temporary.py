"""Folders for what other people's code reads from files, which are gone after it."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Gives a folder that is removed at the end, however it comes, but for a kill.

    Raises:
        OSError: the disk is full, whatever the class in which a library says so.
    """
    with tempfile.TemporaryDirectory(prefix="keras-transformer-") as folder:
        try:
            yield Path(folder)
        except Exception as error:
            for number in (errno.ENOSPC, errno.EDQUOT):
                if os.strerror(number) in str(error):
                    raise OSError(number, os.strerror(number), folder) from error
            raise
