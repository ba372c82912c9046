"""Atomic writing of files and folders, and checked reading."""

import contextlib
import errno
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.beside import (
    all_beside,
    check_absent,
    check_writable,
    may_change,
    parents_made,
    remove,
    target,
)
from keras_transformer.zoo.storage.locks import alone_in, clear_abandoned, written_aside
from keras_transformer.zoo.storage.manifest import (
    MANIFEST,
    folders,
    manifest_of,
    read_manifest,
    stays_inside,
)
from keras_transformer.zoo.storage.swap import finish_cut_off_swap, swap_in


def check_file_target(path: str | Path, *, overwrite: bool) -> None:
    """Checks that `write_file` may write a path, before the work starts.

    Raises:
        FileExistsError: The path exists and `overwrite` is False, or it is a folder.
        InputError, OSError: It is no path, its name is too long, or its folder may not be written.
    """
    path = target(path)
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder; give the name of a file.")
    check_absent(path, overwrite=overwrite)
    if path.exists() and not path.is_file():
        # Renaming over /dev/null or a pipe would take it away from every other program.
        raise FileExistsError(f"{path} is a device or a pipe; give the name of a file.")
    clear_abandoned(path)
    check_writable(path)


def check_folder_target(path: str | Path, *, overwrite: bool, kind: str = "checkpoint") -> None:
    """Checks that `write_folder` may write a path, before the work starts.

    Raises:
        FileExistsError: The path exists and may not be replaced.
        InputError, OSError: It is no path, its name is too long, or its folder may not be written.
    """
    path = target(path)
    with alone_in(path.parent):
        finish_cut_off_swap(path)
        if path.exists():
            _check_replaceable(path, overwrite, kind)
    clear_abandoned(path)
    check_writable(path)


def write_file(path: str | Path, data: bytes, *, overwrite: bool = False) -> None:
    """Writes a temporary file and renames it, so that a reader sees the old or the whole new file.

    Raises:
        FileExistsError: if the path exists and `overwrite` is False, or it is a folder.
        OSError: if writing failed; the previous content is untouched.
    """
    with file_aside(path, data, overwrite=overwrite):
        pass


@contextlib.contextmanager
def file_aside(path: str | Path, data: bytes, *, overwrite: bool = False) -> Iterator[None]:
    """Writes a file aside, and renames it once what is done meanwhile has not failed.

    Raises:
        FileExistsError, OSError: See `write_file`.
    """
    check_file_target(path, overwrite=overwrite)
    path = target(path)
    with parents_made(path), written_aside(path, Path.touch) as partial:
        with naming(path):
            write_synced(partial, data)
        yield
        # Another process may have written it by now.
        check_absent(path, overwrite=overwrite)
        with naming(path):
            os.replace(partial, path)
    _sync_folder(path.parent)


def write_folder(
    path: str | Path, files: Mapping[str, bytes], *, overwrite: bool = False,
    kind: str = "checkpoint",
) -> None:  # fmt: skip
    """Writes a temporary folder with a manifest of its files' SHA-256, and renames it.

    Killed at any moment, it leaves the old folder or the new one for `read_folder`. Of two that
    write the same path at once, the later one's stays.

    Args:
        path: path of the folder.
        files: contents by file name, which may include subfolders separated by `/`.
        overwrite: whether to replace an existing folder of this kind. A folder that contains
            anything its manifest does not list is never replaced.
        kind: kind of the folder, which the manifest records.

    Raises:
        FileExistsError: if the path exists and may not be replaced.
        OSError: if writing failed; the previous content is untouched.
    """
    for name in files:
        if not stays_inside(name) or name == MANIFEST:
            raise ValueError(f"Expected plain file names other than {MANIFEST}, got {name!r}.")
    check_folder_target(path, overwrite=overwrite, kind=kind)
    path = target(path)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    with parents_made(path), naming(path):
        with written_aside(path, Path.mkdir) as partial:
            for folder in sorted(folders(files)):
                (partial / folder).mkdir()
            for name, data in files.items():
                write_synced(partial / name, data)
            write_synced(partial / MANIFEST, manifest_of(kind, hashes))
            for folder in folders(files):
                _sync_folder(partial / folder)
            _sync_folder(partial)
            old = swap_in(partial, path, overwrite)
    _sync_folder(path.parent)
    for folder in old:
        remove(folder)


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yields a temporary folder beside a free path, and renames it to that path at the end.

    Raises:
        FileExistsError: if the path exists.
        OSError: if writing failed; nothing is left behind.
    """
    path = target(path)
    if path.exists():
        raise FileExistsError(f"{path} exists; choose another path.")
    clear_abandoned(path)
    check_writable(path)
    with parents_made(path), naming(path):
        with written_aside(path, Path.mkdir) as partial:
            yield partial
            partial.rename(path)


def read_folder(path: str | Path) -> dict[str, bytes]:
    """Reads the files of a checkpoint folder after checking each against the manifest.

    Raises:
        FileNotFoundError: if there is no such folder.
        InputError: if it is not a checkpoint, or a file is missing or was edited.
    """
    path = target(path)
    while True:
        folder = _whole_folder(path)
        hashes = read_manifest(folder, path, "checkpoint")
        try:
            return _read_listed(folder, path, hashes)
        except InputError:
            # Unless another process has replaced the folder since its manifest was read.
            now = _whole_folder(path)
            if now == folder and read_manifest(now, path, "checkpoint") == hashes:
                raise


def _whole_folder(path: Path) -> Path:
    """The folder of a path, or the old one where a writer stands or was killed between renames."""
    for folder in (path, *all_beside(path, "old"), path):
        if folder.exists():
            return folder
    raise FileNotFoundError(f"There is no checkpoint folder {path}.")


def _read_listed(folder: Path, path: Path, hashes: Mapping[str, str]) -> dict[str, bytes]:
    """Reads the files of a manifest; messages call the folder `path`."""
    files = {}
    for name, digest in hashes.items():
        try:
            # Not a device or a pipe, which would be read for ever.
            is_file = (folder / name).is_file()
            if is_file:
                files[name] = (folder / name).read_bytes()
        except (FileNotFoundError, ValueError):  # or the name is no path's
            is_file = False
        if not is_file:
            raise InputError(f"The checkpoint {path} lacks its file {name}.")
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise InputError(
                f"The checkpoint {path} was changed after it was written: {name} does not match "
                f"{MANIFEST}."
            )
    return files


def weights_to_bytes(weights: Mapping[str, np.ndarray]) -> bytes:
    """Serializes arrays by name in the safetensors format; equal arrays result in equal bytes.

    Raises:
        ValueError: if a type is not NumPy's own, such as bfloat16, which safetensors could write
            but not read with NumPy.
    """
    for name, value in weights.items():
        if np.dtype(value.dtype).kind not in "biuf":
            raise ValueError(f"Expected NumPy's own number types, got {name} of {value.dtype}.")
    return safetensors.numpy.save(
        {name: np.asarray(weights[name], order="C") for name in sorted(weights)}
    )


def weights_digest(*models: Iterable[Any]) -> str:
    """Returns the SHA-256 of `weights_to_bytes` of models, one after the other.

    One array is held at a time.

    Args:
        *models: weights of each: float32, with `path` and `shape`, which NumPy makes arrays of.
    """
    digest = hashlib.sha256()
    for weights in models:
        ordered = sorted(weights, key=lambda weight: weight.path)
        header, end = {}, 0
        for weight in ordered:
            begin, end = end, end + 4 * math.prod(weight.shape)
            header[weight.path] = {
                "dtype": "F32", "shape": list(weight.shape), "data_offsets": [begin, end],
            }  # fmt: skip
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        digest.update(len(text).to_bytes(8, "little") + text)
        for weight in ordered:
            digest.update(np.ascontiguousarray(weight, "<f4").reshape(-1).view(np.uint8))
    return digest.hexdigest()


def weights_from_bytes(data: bytes) -> dict[str, np.ndarray]:
    """Deserializes the result of `weights_to_bytes`.

    Raises:
        InputError: if the bytes are not in the safetensors format.
    """
    try:
        return safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError) as error:
        raise InputError(f"Expected weights in the safetensors format: {error}.") from None


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Sets the path in a system error, which for a full disk has none or a temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_synced(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Makes renames durable where the system can sync a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _check_replaceable(path: Path, overwrite: bool, kind: str) -> None:
    check_absent(path, overwrite=overwrite)
    try:
        listed = set(read_manifest(path, path, kind)) | {MANIFEST}
    except InputError:
        raise FileExistsError(
            f"{path} exists and is no {kind}, so it is not overwritten; choose another path."
        ) from None
    listed |= folders(listed)
    for folder in (path, *(entry for entry in path.rglob("*") if entry.is_dir())):
        if not may_change(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    entries = (entry.relative_to(path).as_posix() for entry in path.rglob("*"))
    foreign = sorted(entry for entry in entries if entry not in listed)
    if foreign:
        raise FileExistsError(
            f"{path} holds {foreign[0]!r}, which is not part of the {kind}, so it is not "
            f"overwritten; move that away or choose another path."
        )
