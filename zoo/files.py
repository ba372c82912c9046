"""Files and folders that are written whole or not at all, and checked when they are read."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import safetensors
import safetensors.numpy

from keras_transformer.zoo.errors import InputError

MANIFEST = "manifest.json"
FORMAT = "keras-transformer-zoo"


def check_absent(path: str | Path, *, overwrite: bool) -> None:
    """Checks that nothing stands where a result is to go, unless it may be overwritten.

    Raises:
        FileExistsError: The path exists and `overwrite` is False.
    """
    if not overwrite and Path(path).exists():
        raise FileExistsError(f"{path} exists; choose another path or give --overwrite.")


def check_file_target(path: str | Path, *, overwrite: bool) -> None:
    """Checks that `write_file` may write a path, before the work that it is to hold.

    Raises:
        FileExistsError: The path exists and `overwrite` is False, or it is a folder.
    """
    path = _target(path)
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder; give the name of a file.")
    check_absent(path, overwrite=overwrite)


def check_folder_target(path: str | Path, *, overwrite: bool, kind: str = "checkpoint") -> None:
    """Checks that `write_folder` may write a path, before the work that it is to hold.

    Raises:
        FileExistsError: The path exists and may not be replaced.
    """
    path = _target(path)
    _finish_cut_off_swap(path)
    if path.exists():
        _check_replaceable(path, overwrite, kind)


def write_file(path: str | Path, data: bytes, *, overwrite: bool = False) -> None:
    """Writes a file aside and renames it, so that a reader sees all of it or what was there before.

    Raises:
        FileExistsError: The path exists and `overwrite` is False, or it is a folder.
        OSError: The system could not write; what was there before is untouched.
    """
    check_file_target(path, overwrite=overwrite)
    path = _target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path, "partial")
    try:
        with _naming(path):
            _write_synced(partial, data)
            os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_folder(
    path: str | Path, files: Mapping[str, bytes], *, overwrite: bool = False,
    kind: str = "checkpoint",
) -> None:  # fmt: skip
    """Writes a folder aside, with a manifest of its files' SHA-256, and renames it.

    Killed at any moment, it leaves the old folder or the new one for `read_folder`. Two writers
    must not write the same path at once.

    Args:
        path: The folder.
        files: Contents by file name, with `/` between the name of a folder inside and the rest.
        overwrite: Replace a folder of this kind that is there. One with anything in it that its
            manifest does not list is never replaced.
        kind: What the manifest says that the folder is.

    Raises:
        FileExistsError: The path exists and may not be replaced.
        OSError: The system could not write; what was there before is untouched.
    """
    for name in files:
        if not _stays_inside(name) or name == MANIFEST:
            raise ValueError(f"Expected plain file names other than {MANIFEST}, got {name!r}.")
    check_folder_target(path, overwrite=overwrite, kind=kind)
    path = _target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    description = {"format": f"{FORMAT} {kind}", "version": 1, "sha256": hashes}
    manifest = json.dumps(description, indent=1) + "\n"
    partial = _beside(path, "partial")
    # A killed writer may have left one.
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with _naming(path):
            partial.mkdir()
            for folder in sorted(_folders(files)):
                (partial / folder).mkdir()
            for name, data in files.items():
                _write_synced(partial / name, data)
            _write_synced(partial / MANIFEST, manifest.encode())
            for folder in _folders(files):
                _sync_folder(partial / folder)
            _sync_folder(partial)
            _swap_in(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _sync_folder(path.parent)
    shutil.rmtree(_beside(path, "old"), ignore_errors=True)


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Gives a folder to fill beside a path that is free, and renames it to that path at the end.

    Raises:
        FileExistsError: Something stands there.
        OSError: The system could not write; nothing is left behind.
    """
    path = _target(path)
    if path.exists():
        raise FileExistsError(f"{path} exists; choose another path.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path, "partial")
    # A killed writer may have left one.
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with _naming(path):
            partial.mkdir()
            yield partial
            partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def read_folder(path: str | Path) -> dict[str, bytes]:
    """Reads the files of a checkpoint folder after checking each against the manifest.

    Raises:
        FileNotFoundError: There is no such folder.
        InputError: It is no checkpoint, or a file is missing or was edited.
    """
    path = _target(path)
    folder = path
    if not path.exists() and _beside(path, "old").exists():
        # A writer was killed between its two renames: the old checkpoint is still whole.
        folder = _beside(path, "old")
    if not folder.exists():
        raise FileNotFoundError(f"There is no checkpoint folder {path}.")
    files = {}
    for name, digest in _read_manifest(folder, path, "checkpoint").items():
        # Not a device or a pipe, which would be read for ever.
        if not (folder / name).is_file():
            raise InputError(f"The checkpoint {path} lacks its file {name}.")
        files[name] = (folder / name).read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise InputError(
                f"The checkpoint {path} was changed after it was written: {name} does not match "
                f"{MANIFEST}."
            )
    return files


def weights_to_bytes(weights: Mapping[str, np.ndarray]) -> bytes:
    """Packs arrays by name in the safetensors format; equal arrays give equal bytes.

    Raises:
        ValueError: A type such as bfloat16, which safetensors would write but not read with NumPy.
    """
    for name, value in weights.items():
        if np.dtype(value.dtype).kind not in "biuf":
            raise ValueError(f"Expected NumPy's own number types, got {name} of {value.dtype}.")
    return safetensors.numpy.save(
        {name: np.asarray(weights[name], order="C") for name in sorted(weights)}
    )


def weights_from_bytes(data: bytes) -> dict[str, np.ndarray]:
    """Unpacks what `weights_to_bytes` packed.

    Raises:
        InputError: The bytes are not safetensors.
    """
    try:
        return safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError) as error:
        raise InputError(f"Expected weights in the safetensors format: {error}.") from None


def _target(path: str | Path) -> Path:
    # Absolute, so that "." and "folder/.." have a name and a parent to be renamed in.
    return Path(os.path.abspath(path))


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{what}")


def _is_plain_name(name: str) -> bool:
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\:\0")


def _stays_inside(name: str) -> bool:
    return all(map(_is_plain_name, name.split("/")))


def _folders(names: Iterable[str]) -> set[str]:
    """The folders that files stand in, but for the outermost."""
    parents = (parent for name in names for parent in PurePosixPath(name).parents)
    return {parent.as_posix() for parent in parents} - {"."}


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Names the path in an error of the system's, as a full disk's has none or a temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Makes renames durable where the system lets a folder be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _swap_in(partial: Path, path: Path) -> None:
    """Renames `partial` to `path`; what was there goes to the side, and comes back on failure."""
    old = _beside(path, "old")
    if path.exists():
        path.rename(old)
    try:
        partial.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise


def _finish_cut_off_swap(path: Path) -> None:
    """Brings back or clears away the old folder that a killed writer left at the side."""
    old = _beside(path, "old")
    if old.exists():
        if path.exists():
            shutil.rmtree(old)
        else:
            old.rename(path)


def _check_replaceable(path: Path, overwrite: bool, kind: str) -> None:
    check_absent(path, overwrite=overwrite)
    try:
        listed = set(_read_manifest(path, path, kind)) | {MANIFEST}
    except InputError:
        raise FileExistsError(
            f"{path} exists and is no {kind}, so it is not overwritten; choose another path."
        ) from None
    listed |= _folders(listed)
    entries = (entry.relative_to(path).as_posix() for entry in path.rglob("*"))
    foreign = sorted(entry for entry in entries if entry not in listed)
    if foreign:
        raise FileExistsError(
            f"{path} holds {foreign[0]!r}, which is not part of the {kind}, so it is not "
            f"overwritten; move that away or choose another path."
        )


def _read_manifest(folder: Path, path: Path, kind: str) -> dict[str, str]:
    """Returns the SHA-256 of each file by name; messages call the folder `path`."""
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
        or not all(map(_stays_inside, hashes))
    ):
        raise InputError(f"{path} is no {kind}: its {MANIFEST} is not one of ours.")
    return hashes
