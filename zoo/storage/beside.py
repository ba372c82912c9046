"""Paths beside the one that is written: names for what is there for a while, and its parents."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from keras_transformer.zoo.errors import InputError

# Bytes of a name that stands in the names beside it; a file system takes 255, or 143 if encrypted.
_LONGEST_STEM = 100


def resolved(path: str | Path) -> Path:
    """Returns the path that a link leads to, whether or not that exists; others as they are.

    Raises:
        InputError: the path is no name of a file or folder.
        OSError: it is a link to itself.
    """
    try:
        real = Path(os.path.realpath(path))
        # In UTF-8, as names stand in files and in what is printed.
        str(real).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"Expected a path in UTF-8, got {repr(str(path))[1:-1]}; rename what has another name."
        ) from None
    except ValueError:
        raise InputError(f"Expected the path of a file or folder, got {str(path)!r}.") from None
    if not real.name:
        raise InputError(f"Expected the path of a file or folder with a name, got {str(path)!r}.")
    if real.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return Path(path) if str(real) == os.path.abspath(path) else real


def target(path: str | Path) -> Path:
    """Returns `resolved`, absolute, so that "." and "folder/.." have a name and a parent."""
    return Path(os.path.abspath(resolved(path)))


def beside(path: Path, what: str) -> Path:
    """Returns the one path beside another that is `what` to it, such as its lock."""
    return path.with_name(f".{_stem(path)}.{what}")


def new_beside(path: Path, what: str) -> Path:
    """Returns a path beside another that no other process makes."""
    return path.with_name(f".{_stem(path)}.{secrets.token_hex(8)}.{what}")


def all_beside(path: Path, what: str) -> list[Path]:
    """Returns those of `new_beside` that are there, of whatever process; the newest first."""
    name = re.compile(rf"\.{re.escape(_stem(path))}(\.[0-9a-f]{{16}})?\.{what}")
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for entry in os.scandir(path.parent):
            if name.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
    return [path.with_name(name) for _, name in sorted(found, reverse=True)]


def remove(path: Path) -> None:
    """Removes a file, a link or a folder with all that is in it; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()


def check_absent(path: str | Path, *, overwrite: bool) -> None:
    """Checks that nothing stands where a result is to go, unless it may be overwritten.

    Raises:
        FileExistsError: The path exists and `overwrite` is False.
    """
    if not overwrite and Path(path).exists():
        raise FileExistsError(f"{path} exists; choose another path or give --overwrite.")


def check_writable(path: Path) -> None:
    """Checks that a path could be made or replaced, as far as can be said before it is tried.

    Raises:
        OSError: its name is too long, a parent is no folder, or the folder may not be written.
    """
    try:
        os.lstat(new_beside(path, "partial"))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OSError(error.errno, error.strerror, str(path)) from None
    folder = next(parent for parent in path.parents if os.path.lexists(parent))
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    names = path.relative_to(folder).parts
    # Windows has neither limit in this form.
    longest = os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    if max(len(os.fsencode(name)) for name in names) > longest:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path))
    if not may_change(folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def may_change(folder: Path) -> bool:
    """Whether this process may make and remove what is in a folder."""
    own = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=own)


@contextlib.contextmanager
def parents_made(path: Path) -> Iterator[None]:
    """Makes the folders above a path, and removes those again that are empty after a failure."""
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        remove_empty(missing)
        raise


def remove_empty(folders: list[Path]) -> None:
    """Removes folders that hold nothing, the innermost first."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _stem(path: Path) -> str:
    """The path's name, or its beginning and its hash where that leaves too little room."""
    name = os.fsencode(path.name)
    if len(name) <= _LONGEST_STEM:
        return path.name
    return f"{path.name[:20]}~{hashlib.sha256(name).hexdigest()[:16]}"
