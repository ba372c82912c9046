"""Training data of a recipe: its path and the hash that a run recorded."""

import hashlib
import json
import numbers
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from keras_transformer.zoo.columns.addresses import is_remote, public
from keras_transformer.zoo.columns.several_files import (
    files_of,
    is_mixture,
    is_pattern,
    local_file,
)
from keras_transformer.zoo.errors import InputError, no_file
from keras_transformer.zoo.recipe.parts import Data
from keras_transformer.zoo.recipe.recipe import Recipe

# File of a teacher's weights in its folder.
_WEIGHTS = "weights.safetensors"


def data_options(*, train: Any = None, validation: Any = None) -> dict[str, Any]:
    """Returns the options of a recipe for the location of its data.

    Args:
        train: path, or data in memory; None for the recipe's own.
        validation: likewise, or a fraction of the training data.

    Raises:
        InputError: if the fraction is not between 0 and 1.
    """
    options: dict[str, Any] = {}
    if train is not None:
        options["train"] = _path(train)
    if isinstance(validation, numbers.Real):
        if not 0 < validation < 1:
            raise InputError(
                "Expected validation to be data or a share between 0 and 1, "
                f"got validation={validation}."
            )
        options |= {"validation": "", "validation_share": float(validation)}
    elif validation is not None:
        options |= {"validation": _path(validation)}
    return options


def rows_given(*, train: Any = None, validation: Any = None) -> dict[str, Any]:
    """Returns the data that are in memory: neither None, nor a path, nor a fraction."""
    given = {"train": train}
    if not isinstance(validation, numbers.Real):
        given["validation"] = validation
    return {
        name: source for name, source in given.items()
        if source is not None and not is_path(source)
    }  # fmt: skip


def is_missing(place: str | os.PathLike) -> bool:
    """Whether there is nothing at a path; of an address only reading it says so."""
    return not is_remote(place) and not Path(place).exists()


def is_path(source: Any) -> bool:
    """Whether data are in a file rather than in memory."""
    return isinstance(source, str | os.PathLike)


def _path(source: Any) -> str:
    return str(public(os.fspath(source))) if is_path(source) else ""


def resolved(recipe: Recipe, *, in_memory: Collection[str] = ()) -> Recipe:
    """Returns the recipe of a run that starts, with absolute paths and the digest.

    Args:
        recipe: recipe of the run.
        in_memory: `train`, `validation` or both, if they are not in files; the digest of training
            data in memory is `rows_digest`, computed after reading.

    Raises:
        FileNotFoundError: if there is no such training file.
        InputError: if the training file is not the recipe's, see `training_file`.
    """
    vocabulary = recipe.tokenizer.vocabulary
    outside = recipe.data.out_of_scope
    changes = {
        "vocabulary": vocabulary and os.path.abspath(vocabulary),
        "out_of_scope": outside and _absolute(outside),
    }
    if "train" not in in_memory:
        train, digest = _checked(recipe.data)
        changes |= {"train": str(train), "digest": digest}
    if "validation" not in in_memory and not recipe.data.validation_share:
        if not recipe.data.validation:
            raise InputError(
                "The validation data was in memory, which no checkpoint holds: give "
                "--validation FILE (validation= in Python)."
            )
        changes["validation"] = _absolute(recipe.data.validation)
    return recipe.replace(**changes)


def _absolute(place: str) -> str:
    """A path that is the same wherever a run starts, or an address without secrets."""
    return str(public(place)) if is_remote(place) else os.path.abspath(place)


def training_file(data: Data) -> Path | str:
    """Returns the absolute path, or the address, of the training data after checking its digest.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the data came from memory, or the file has another digest.
    """
    return _checked(data)[0]


def _checked(data: Data) -> tuple[Path | str, str]:
    """The absolute path of the training data and its digest, see `training_file`."""
    if not data.train:
        given = (
            f"The training data was in memory (SHA-256 {_short(data.digest)}), which no checkpoint "
            "holds" if data.digest else "The checkpoint names no training data"
        )  # fmt: skip
        raise InputError(f"{given}: give --train FILE (train= in Python).")
    place = _absolute(data.train)
    path = place if is_remote(place) else Path(place)
    found = source_digest(path)
    if data.digest not in ("", found):
        raise InputError(
            f"Expected {path} to be the training data of the recipe (SHA-256 "
            f"{_short(data.digest)}), got other data (SHA-256 {_short(found)}); bring that back, "
            "or give --train FILE (train= in Python) for a run on other data."
        )
    return path, found


def source_digest(source: str | Path) -> str:
    """Returns the SHA-256 of a file; of a folder, a pattern or a table of tasks, of all its files.

    Raises:
        FileNotFoundError, InputError: there is no such file.
    """
    if is_pattern(source) or is_mixture(source):
        digests = [file_digest(one) for one in files_of(source)]
        if is_mixture(source):
            digests.insert(0, file_digest(source))
        return hashlib.sha256("".join(digests).encode()).hexdigest()
    path = local_file(source)
    own = data_digest(path)
    named = [] if path.is_dir() else [path.parent / name for name in _named_in(path)]
    if not named:
        return own
    # Whoever reads the table says which files are missing.
    digests = [file_digest(one) for one in named if one.is_file()]
    return hashlib.sha256("".join([own, *digests]).encode()).hexdigest()


def data_digest(path: str | Path) -> str:
    """Returns the SHA-256 of a file, or of the names and contents of the files in a folder.

    Hidden ones are left out.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    folder = Path(path)
    if not folder.is_dir():
        return file_digest(path)
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            digest.update(f"{name.as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def _named_in(path: Path) -> Iterator[str]:
    """The files that a table of tasks names; none of any other file."""
    if path.suffix != ".json":
        return
    try:
        table = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    for entry in table.values() if isinstance(table, dict) else ():
        if not isinstance(entry, dict) or "task" not in entry:
            continue
        for part, file in (("train", ""), ("validation", ""), ("teacher", f"/{_WEIGHTS}")):
            if isinstance(entry.get(part), str):
                yield f"{entry[part]}{file}"


def file_digest(path: str | Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the path is a folder.
    """
    if Path(path).is_dir():
        raise InputError(f"{path}: expected a file, got a folder.")
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise no_file(path) from None


def rows_digest(rows: Iterable[Any]) -> str:
    """Returns the SHA-256 of rows in memory: texts, numbers, and tuples or mappings of them."""
    digest = hashlib.sha256()
    for row in rows:
        text = json.dumps(row, ensure_ascii=False, sort_keys=True, default=_plain)
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """A NumPy scalar or array, bytes or a path as a JSON value."""
    if isinstance(value, os.PathLike):
        return {"sha256": file_digest(value)}
    if getattr(value, "ndim", 0) or isinstance(value, bytes):
        # Pictures and sounds: their numbers one by one would take minutes.
        kind = [str(value.dtype), list(value.shape)] if hasattr(value, "dtype") else []
        data = value if isinstance(value, bytes) else value.tobytes()
        return {"sha256": hashlib.sha256(data).hexdigest(), "array": kind}
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "tobytes"):  # a picture of Pillow's
        return {"sha256": hashlib.sha256(value.tobytes()).hexdigest()}
    raise InputError(f"Expected rows of texts and numbers, got {value!r}.")


def _short(digest: str) -> str:
    return digest[:12]
