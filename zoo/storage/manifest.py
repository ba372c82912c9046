"""The manifest of a folder: what it is, and the SHA-256 of each file in it."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from keras_transformer.zoo.errors import InputError

MANIFEST = "manifest.json"
FORMAT = "keras-transformer-zoo"


def manifest_of(kind: str, hashes: dict[str, str]) -> bytes:
    """Returns the content of the manifest of a folder."""
    description = {"format": f"{FORMAT} {kind}", "version": 1, "sha256": hashes}
    return (json.dumps(description, indent=1) + "\n").encode()


def read_manifest(folder: Path, path: Path, kind: str) -> dict[str, str]:
    """Returns the SHA-256 of each file by name; messages call the folder `path`.

    Raises:
        InputError: The folder has no manifest, or not one of this kind.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} is no {kind}: it has no {MANIFEST}.") from None
    except (ValueError, RecursionError):
        raise InputError(f"The {kind} {path} is damaged: {MANIFEST} is not JSON.") from None
    hashes = manifest.get("sha256") if isinstance(manifest, dict) else None
    if (
        not isinstance(hashes, dict)
        or manifest.get("format") != f"{FORMAT} {kind}"
        or not all(map(stays_inside, hashes))
    ):
        raise InputError(f"{path} is no {kind}: its {MANIFEST} is not one of ours.")
    return hashes


def _is_plain_name(name: str) -> bool:
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\:\0")


def stays_inside(name: str) -> bool:
    """Whether a name of a file, with `/` between folders, stays in the folder it is joined to."""
    return all(map(_is_plain_name, name.split("/")))


def folders(names: Iterable[str]) -> set[str]:
    """The folders that files stand in, but for the outermost."""
    parents = (parent for name in names for parent in PurePosixPath(name).parents)
    return {parent.as_posix() for parent in parents} - {"."}
