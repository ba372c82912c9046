"""Data in several files: what a pattern stands for, and mixtures with weights."""

import glob
import json
import os
from collections.abc import Mapping
from pathlib import Path

from keras_transformer.zoo.columns.addresses import is_remote, is_remote_pattern, public
from keras_transformer.zoo.columns.remote import fetched, named
from keras_transformer.zoo.errors import InputError, no_file
from keras_transformer.zoo.printable import shortened_value

# How the name of a mixture ends: JSON of an object with a weight for each path or pattern.
MIXTURE = ".mixture.json"
_LEAST_WEIGHT, _MOST_WEIGHT = 0.0001, 1000


def files_of(source: str | Path) -> list[Path]:
    """Returns the files of a path, in the order of their names where it is a pattern.

    Those of an address are fetched, see `remote`.

    A path with `*`, `?` or `[` stands for what matches it (`**` for any folders), unless there is
    a file of that very name; a mixture stands for the files that it names.

    Raises:
        FileNotFoundError: if there is no such mixture.
        InputError: if nothing matches the pattern, or the mixture has a mistake.
    """
    if is_mixture(source):
        return [file for file, _ in weighted_files(source)]
    if is_remote(source):
        return fetched(str(source))
    if not is_pattern(source):
        return [Path(source)]
    found = sorted(Path(one) for one in glob.glob(str(source), recursive=True))
    files = [one for one in found if one.is_file()]
    if not files:
        raise InputError(f"{source}: expected a file that matches the pattern, got none.")
    return files


def local_file(source: str | Path) -> Path:
    """Returns the one file of a path, fetched if it is an address.

    Raises:
        FileNotFoundError, ConnectionError, InputError: see `remote.fetched`; or if it is an address
            of several files.
    """
    if not is_remote(source):
        return Path(source)
    if is_remote_pattern(str(source)) or is_mixture(source):
        raise InputError(f"{public(source)}: expected the address of one file for this task.")
    return fetched(str(source))[0]


def is_pattern(source: str | Path) -> bool:
    """Whether a path stands for all files that match it."""
    if is_remote(source):
        return is_remote_pattern(str(source))
    return glob.has_magic(str(source)) and not Path(source).exists()


def is_mixture(source: str | Path) -> bool:
    """Whether a path is that of a mixture of files."""
    return str(source).endswith(MIXTURE)


def weighted_files(source: str | Path) -> list[tuple[Path, float]]:
    """Returns the files of a mixture, and how often each of their rows is read in an epoch.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not an object of weights above 0, a file is named twice, or nothing
            matches a pattern.
    """
    if is_remote(source):
        raise InputError(f"{public(source)}: expected a mixture in a file of this machine.")
    path = Path(source)
    try:
        weights = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise no_file(path) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: bad JSON ({error}).") from None
    if not isinstance(weights, Mapping) or not weights:
        raise InputError(
            f"{path}: expected an object with a weight for each file, got {weights!r}."
        )
    found: dict[Path, float] = {}
    for name, weight in weights.items():
        is_weight = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_weight or not _LEAST_WEIGHT <= weight <= _MOST_WEIGHT:
            raise InputError(
                f"{path}: expected a weight from {_LEAST_WEIGHT} to {_MOST_WEIGHT} for "
                f"{str(public(name))!r}, got {shortened_value(weight)}."
            )
        if "\0" in name:
            raise InputError(f"{path}: expected the name of a file, got {name!r}.")
        check_no_mixture(name, f"a file of {path.name}")
        for file in _files_in(path.parent, name):
            own = Path(os.path.normpath(file))
            if own in found:
                raise InputError(f"{path}: expected {named(own)} once, got it twice.")
            found[own] = float(weight)
    return list(found.items())


def _files_in(folder: Path, name: str) -> list[Path]:
    """The files of a name in a mixture: an address, or relative to the mixture's folder."""
    if is_remote(name):
        return fetched(name)
    # Wherever a run starts; the folder itself is no pattern.
    is_plain = not glob.has_magic(name) or (folder / name).exists()
    return [folder / name] if is_plain else files_of(f"{glob.escape(str(folder))}/{name}")


def check_no_mixture(source: str | Path, what: str) -> None:
    """Raises InputError if data that have no weights are those of a mixture."""
    if is_mixture(source):
        raise InputError(
            f"{public(source)}: expected no mixture for {what}, whose rows have no weights."
        )
