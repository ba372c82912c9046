"""The folder of prepared data: what takes long to make, under a name that says what it is made of.

An entry is a folder with a manifest of its files, written aside and renamed. Its name has a hash of
all that determines it, so that it is made once, and whoever needs the same finds it: the next run,
a run that is resumed, and the other processes of a distributed one.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.large import checked_folder, folder_aside

# Changes when an older entry is no longer what would be made.
_FORMAT = 1
# Size of the files from which on rows are prepared in a folder, in bytes: what is smaller is read
# into the memory in seconds.
LARGE = 64 * 2**20
_KIND = "prepared data"
_ENTRY = re.compile(r"\.?(file|rows|table|text|tokenizer)-[0-9a-f]{16}(\..*)?")
# Bytes of text in a byte of a file, by its suffix, about.
_TIMES = {".gz": 5, ".parquet": 3}
_SECONDS_BETWEEN_LOOKS = 0.2


class Store:
    """A folder of prepared data.

    Args:
        folder: folder, made when something is written to it.
        least: size of data in bytes from which on they are prepared.
        told: receives a path, how much of it is read, and the whole, as it is read.
        missing: what is done where an entry is not there: `make` makes it, `wait` waits for another
            process that does, `refuse` raises InputError.
    """

    def __init__(
        self, folder: Path, least: int = LARGE, *, missing: str = "make",
        told: Callable[[Path | str, int, int], None] | None = None,
    ):  # fmt: skip
        self.folder, self.least, self._missing = Path(folder), least, missing
        self.told = told or (lambda path, done, whole: None)
        self._checked: dict[Path, dict[str, str]] = {}

    def entry(self, what: str, key: Any, make: Callable[[Path], None]) -> tuple[Path, bytes]:
        """Returns the folder of an entry, and its digest.

        Args:
            what: kind of the entry, which its name begins with.
            key: all that determines it, as JSON.
            make: writes its files into a new folder.

        Raises:
            InputError: if it is damaged, or is to be there and is not.
            OSError: if it cannot be written, as when the disk is full.
        """
        text = json.dumps([_FORMAT, what, key], sort_keys=True, ensure_ascii=False)
        name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        path = self.folder / f"{what}-{name}"
        if path not in self._checked:
            if not path.exists() and self._missing == "refuse":
                raise InputError(
                    f"{self.folder} holds no {what} of this run: prepare the same files with the "
                    "same options."
                )
            if not path.exists() and self._missing == "make":
                with folder_aside(path, _KIND) as partial:
                    make(partial)
            while not path.exists():
                # The end of the process that writes ends the others, see `distributed`.
                time.sleep(_SECONDS_BETWEEN_LOOKS)
            self._checked[path] = checked_folder(path, _KIND)
        return path, hashlib.sha256(str(self._checked[path]).encode()).digest()


def size_of(files: Sequence[Path]) -> int:
    """Returns the size of the text in files, about, in bytes."""
    there = (file for file in files if file.is_file())
    return sum(file.stat().st_size * _TIMES.get(file.suffix, 1) for file in there)


def is_entry(name: str) -> bool:
    """Whether a name is that of an entry, or of one that is being written."""
    return _ENTRY.fullmatch(name) is not None
