"""Data in several files: what a pattern stands for, and mixtures with weights."""

import glob
import json
import math
from collections.abc import Mapping
from pathlib import Path

from keras_transformer.zoo.errors import InputError, no_file

# How the name of a mixture ends: JSON of an object with a weight for each path or pattern.
MIXTURE = ".mixture.json"


def files_of(source: str | Path) -> list[Path]:
    """Returns the files of a path, in the order of their names where it is a pattern.

    A path with `*`, `?` or `[` stands for what matches it (`**` for any folders), unless there is
    a file of that very name; a mixture stands for the files that it names.

    Raises:
        FileNotFoundError: if there is no such mixture.
        InputError: if nothing matches the pattern, or the mixture has a mistake.
    """
    if is_mixture(source):
        return [file for file, _ in weighted_files(source)]
    if not is_pattern(source):
        return [Path(source)]
    found = sorted(Path(one) for one in glob.glob(str(source), recursive=True))
    files = [one for one in found if one.is_file()]
    if not files:
        raise InputError(f"{source}: expected a file that matches the pattern, got none.")
    return files


def is_pattern(source: str | Path) -> bool:
    """Whether a path stands for all files that match it."""
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
        if not is_weight or not 0 < weight < math.inf:
            raise InputError(f"{path}: expected a weight above 0 for {name!r}, got {weight!r}.")
        # Relative to the mixture, wherever a run starts.
        for file in files_of(path.parent / name):
            if file in found:
                raise InputError(f"{path}: expected {file} once, got it twice.")
            found[file] = float(weight)
    return list(found.items())


def check_no_mixture(source: str | Path, what: str) -> None:
    """Raises InputError if data that have no weights are those of a mixture."""
    if is_mixture(source):
        raise InputError(f"{source}: expected no mixture for {what}, whose rows have no weights.")
