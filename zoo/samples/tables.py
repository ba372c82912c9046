"""Locales, splits by hash and TSV tables of the embedded data sets."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

try:
    import babel
except ImportError:
    babel = None

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.files import check_absent, write_file

SPLITS = ("train", "validation", "test")


def load_locale(code: str, kind: str) -> "babel.Locale":
    """Returns Babel's tables of a locale.

    Args:
        code: code of the locale, such as `pt_BR`.
        kind: kind of code, for error messages.

    Raises:
        InputError: if Babel is not installed or does not know the locale.
    """
    if babel is None:
        raise InputError(
            "The embedded data is made with Babel, which is not installed; "
            "run: pip install 'keras-transformer-zoo[demo]'."
        )
    try:
        return babel.Locale.parse(code)
    except (babel.UnknownLocaleError, ValueError):
        raise InputError(f"Expected a {kind} that Babel knows, got {code!r}.") from None


def hash_number(key: str, seed: int) -> int:
    """Returns a 64-bit hash that is the same on every machine."""
    return int.from_bytes(hashlib.sha256(f"{seed} {key}".encode()).digest()[:8], "big")


def split_of(key: str, seed: int, *, validation: int, test: int) -> str:
    """Returns the split of a key; `validation` and `test` are shares in thousandths.

    A hash, not a shuffle: a key stays in its split when other keys are added or removed.
    """
    part = hash_number(key, seed) % 1000
    if part < test:
        return "test"
    return "validation" if part < test + validation else "train"


def split_paths(folder: str | Path, *, overwrite: bool) -> dict[str, Path]:
    """Returns the path of each split's table.

    Raises:
        FileExistsError: if a table exists and `overwrite` is False.
    """
    paths = {split: Path(folder) / f"{split}.tsv" for split in SPLITS}
    for path in paths.values():
        check_absent(path, overwrite=overwrite)
    return paths


def write_splits(
    paths: Mapping[str, Path],
    columns: Sequence[str],
    examples: Mapping[str, Sequence[Sequence[str]]],
    *,
    overwrite: bool,
) -> None:
    """Writes a TSV file for each split; no value may contain a tab or a line break."""
    for split, path in paths.items():
        lines = ["\t".join(row) + "\n" for row in (columns, *examples[split])]
        write_file(path, "".join(lines).encode(), overwrite=overwrite)
