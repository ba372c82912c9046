"""The training data that a recipe names: a path, and the hash of what a run found there."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe.parts import Data
from keras_transformer.zoo.recipe.recipe import Recipe


def resolved(recipe: Recipe) -> Recipe:
    """Returns the recipe of a run that begins: paths are absolute, and the digest is known.

    Raises:
        FileNotFoundError: there is no such training file.
        InputError: the training file is another than the recipe's, see `training_file`.
    """
    if not recipe.data.validation:
        raise InputError(
            "Expected validation to be a path, got validation='': the data came from memory; give "
            "--validation FILE (validation= in Python)."
        )
    train = training_file(recipe.data)
    vocabulary = recipe.tokenizer.vocabulary
    return recipe.replace(
        train=str(train), digest=file_digest(train),
        validation=os.path.abspath(recipe.data.validation),
        vocabulary=vocabulary and os.path.abspath(vocabulary),
    )  # fmt: skip


def training_file(data: Data) -> Path:
    """Returns the absolute path of the training data, once it is clear that it is the recipe's.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the data came from memory, or the file has another digest.
    """
    if not data.train:
        raise InputError(
            "Expected train to be a path, got train='': the data came from memory "
            f"(SHA-256 {_short(data.digest) or 'unknown'}); give --train FILE (train= in Python)."
        )
    path = Path(os.path.abspath(data.train))
    found = file_digest(path)
    if data.digest not in ("", found):
        raise InputError(
            f"Expected {path} to be the training data of the recipe (SHA-256 "
            f"{_short(data.digest)}), got other data (SHA-256 {_short(found)}); bring that back, "
            "or give --train FILE (train= in Python) for a run on other data."
        )
    return path


def file_digest(path: str | Path) -> str:
    """Returns the SHA-256 of a file's bytes in hexadecimal digits.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is a folder.
    """
    if Path(path).is_dir():
        raise InputError(f"{path}: expected a file, got a folder.")
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}.") from None


def rows_digest(rows: Iterable[Any]) -> str:
    """Returns the SHA-256 of rows in memory: texts, numbers, and tuples or mappings of them."""
    digest = hashlib.sha256()
    for row in rows:
        text = json.dumps(row, ensure_ascii=False, sort_keys=True, default=_plain)
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """A scalar or an array of NumPy as JSON has it."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise InputError(f"Expected rows of texts and numbers, got {value!r}.")


def _short(digest: str) -> str:
    return digest[:12]
