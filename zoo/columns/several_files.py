"""Data in several files: the names that a pattern stands for."""

import glob
from pathlib import Path

from keras_transformer.zoo.errors import InputError


def files_of(source: str | Path) -> list[Path]:
    """Returns the files of a path, in the order of their names where it is a pattern.

    A path with `*`, `?` or `[` stands for what matches it (`**` for any folders), unless there is
    a file of that very name.

    Raises:
        InputError: if nothing matches the pattern.
    """
    path = Path(source)
    if not is_pattern(source):
        return [path]
    found = sorted(Path(one) for one in glob.glob(str(source), recursive=True))
    files = [one for one in found if one.is_file()]
    if not files:
        raise InputError(f"{source}: expected a file that matches the pattern, got none.")
    return files


def is_pattern(source: str | Path) -> bool:
    """Whether a path stands for all files that match it."""
    return glob.has_magic(str(source)) and not Path(source).exists()
