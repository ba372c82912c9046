"""Locks on files and folders, which the system gives back when the process that holds them ends."""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from keras_transformer.zoo.storage.beside import (
    all_beside,
    beside,
    new_beside,
    remove,
    remove_empty,
    target,
)

try:
    import fcntl
except ImportError:
    # Windows, which locks bytes of files, and no folders.
    import msvcrt

    fcntl = None

# What the system says of a disk, or of a folder on it, that knows no locks.
_NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL, errno.EBADF)
# On Windows nobody reads a byte that is locked, so it is one behind the file's end.
_BYTE = 2**30
# Seconds without a change after which nobody writes what is not locked for want of locks.
_ABANDONED = 3600.0
# How often a lock's file is made anew whose folder is gone.
_TRIES = 100


def lock(descriptor: int) -> bool:
    """Locks an open file or folder until it is closed; False where the disk knows no locks.

    Raises:
        BlockingIOError: it is locked already, in this process or in another.
    """
    if fcntl is None:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(*error.args) from None
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps other swaps in a folder waiting, so that none is taken for one that was cut off.

    Nobody waits where the folder cannot be opened, or the system or the disk knows no such locks.
    """
    try:
        descriptor = None if fcntl is None else os.open(folder, os.O_RDONLY)
    except OSError:
        descriptor = None
    try:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def written_aside(path: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    """Gives a new path beside another to write, in use for `clear_abandoned` and gone if it fails.

    Args:
        path: what it is to become.
        make: makes the empty file or folder.
    """
    partial, descriptor = _made_and_locked(path, make)
    try:
        yield partial
    except BaseException:
        remove(partial)
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _made_and_locked(path: Path, make: Callable[[Path], object]) -> tuple[Path, int | None]:
    while True:
        partial = new_beside(path, "partial")
        make(partial)
        if fcntl is None:
            # Windows renames nothing that is open.
            return partial, None
        # Before it is locked, another process may take it for abandoned.
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(partial, os.O_RDONLY)
            with contextlib.suppress(BlockingIOError):
                lock(descriptor)
                if is_at(descriptor, partial):
                    return partial, descriptor
            os.close(descriptor)


def clear_abandoned(path: Path) -> None:
    """Removes what processes that have ended wrote aside for a path."""
    for partial in all_beside(path, "partial"):
        with contextlib.suppress(OSError):
            if partial.is_symlink():
                partial.unlink()
            elif fcntl is None:
                if _is_old(partial):
                    remove(partial)
            else:
                _remove_if_free(partial)


def _remove_if_free(partial: Path) -> None:
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        if lock(descriptor) or _is_old(partial):
            remove(partial)
    finally:
        os.close(descriptor)


def _is_old(path: Path) -> bool:
    return time.time() - os.stat(path, follow_symlinks=False).st_mtime > _ABANDONED


def is_at(descriptor: int, path: Path) -> bool:
    """Whether what is open is still what a path leads to."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def only_run(out: str | Path) -> Iterator[None]:
    """Holds the lock of a path that a run writes, so that a second run ends at its start.

    Raises:
        FileExistsError: a run of that path is under way.
        OSError: the system could not make the file that is locked.
    """
    out = target(out)
    path = beside(out, "lock")
    missing = [parent for parent in out.parents if not parent.exists()]
    descriptor = None
    try:
        descriptor = _taken(path, out)
        yield
    finally:
        if descriptor is not None:
            _give_back(path, descriptor)
        remove_empty(missing)


def _taken(path: Path, out: Path) -> int:
    """Opens and locks the file of a lock, and says in it who has it."""
    refused = 0
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            refused += 1
            # Another run may have ended, and removed the folder that it had made; in /proc and its
            # like no file can ever be made.
            if isinstance(error, FileNotFoundError) and refused < _TRIES:
                continue
            raise OSError(error.errno, error.strerror, str(out)) from error
        try:
            lock(descriptor)
            if is_at(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, _holder().encode())
                return descriptor
        except BlockingIOError:
            holder = os.read(descriptor, 1000).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise FileExistsError(
                f"A run that writes {out} is under way in {holder}; wait for its end, or choose "
                "another path."
            ) from None
        except OSError as error:
            _give_back(path, descriptor)
            raise OSError(error.errno, error.strerror, str(out)) from error
        os.close(descriptor)


def _give_back(path: Path, descriptor: int) -> None:
    if fcntl is None:
        os.close(descriptor)
        # Another run may have opened it by now, and Windows removes nothing that is open.
        with contextlib.suppress(PermissionError):
            path.unlink(missing_ok=True)
        return
    # While it is still locked: who opened it before sees that it is gone, and makes it anew.
    path.unlink(missing_ok=True)
    os.close(descriptor)


def _holder() -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()} since {since}"
