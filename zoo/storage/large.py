"""Folders of large files, which are written in place of being held, and mapped."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.beside import parents_made, remove, target
from keras_transformer.zoo.storage.files import naming, write_synced
from keras_transformer.zoo.storage.locks import clear_abandoned, written_aside
from keras_transformer.zoo.storage.manifest import MANIFEST, manifest_of, read_manifest


@contextlib.contextmanager
def folder_aside(path: str | Path, kind: str) -> Iterator[Path]:
    """Gives a new folder to write files into, which becomes `path` with a manifest of them.

    If another process has made it meanwhile, that stays.

    Args:
        path: folder that is not there yet, or has the same content.
        kind: kind of the folder, which the manifest records.

    Raises:
        OSError: if something cannot be written; then nothing is left of it.
    """
    path = target(path)
    clear_abandoned(path)
    with parents_made(path), written_aside(path, Path.mkdir) as partial, naming(path):
        yield partial
        hashes = {one.name: _sha256(one) for one in sorted(partial.iterdir())}
        write_synced(partial / MANIFEST, manifest_of(kind, hashes))
        try:
            os.replace(partial, path)
        except OSError:
            if not path.is_dir():
                raise
            remove(partial)


def checked_folder(path: Path, kind: str) -> dict[str, str]:
    """Returns the SHA-256 of each file in a folder of `folder_aside`, after checking them.

    Raises:
        InputError: if a file is missing or was changed.
    """
    advice = "remove that folder and prepare the data again."
    try:
        hashes = read_manifest(path, path, kind)
    except (InputError, OSError) as error:
        raise InputError(f"The {kind} {path} is damaged ({error}); {advice}") from None
    for name, digest in hashes.items():
        try:
            found = _sha256(path / name)
        except (FileNotFoundError, IsADirectoryError):
            found = None
        if found != digest:
            what = "lacks its file" if found is None else "was changed after it was written, in"
            raise InputError(f"The {kind} {path} {what} {name}; {advice}")
    return hashes


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
