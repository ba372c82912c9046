"""Files in object stores and on web servers, which are fetched once and then read like others."""

import atexit
import contextlib
import contextvars
import dataclasses
import errno
import functools
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from keras_transformer.zoo.columns.addresses import (
    in_full,
    is_remote_pattern,
    is_web,
    lacks_query,
    public,
    scheme_of,
)
from keras_transformer.zoo.errors import InputError, no_file

# Packages of the user's choice that read addresses of a kind.
_PACKAGES = {
    "abfs": "adlfs", "az": "adlfs", "gcs": "gcsfs", "gs": "gcsfs", "http": "aiohttp",
    "https": "aiohttp", "s3": "s3fs",
}  # fmt: skip
# What a store says of a file's content, whichever of these it says.
_FINGERPRINTS = (
    "ETag", "etag", "e_tag", "md5Hash", "content_md5", "Content-MD5", "Digest", "generation",
    "LastModified", "Last-Modified", "last_modified", "mtime", "updated", "created",
)  # fmt: skip
# Seconds without an answer after which a web server is given up.
_SECONDS = 60
# Errors of this machine's disk.
_OF_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)

# File that was fetched -> its address.
_address_of: dict[Path, str] = {}


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A file to fetch.

    Attributes:
        address: its address, without secrets.
        name: name of the file here.
        size: its size in bytes; None where the store does not say it.
        marks: what tells its content from others, as far as the store says it.
    """

    address: str
    name: str
    size: int | None
    marks: Mapping[str, str]
    system: Any
    path: str

    @property
    def key(self) -> dict[str, Any]:
        """All that is known of the content, as JSON."""
        return {"address": self.address, "size": self.size, **self.marks}

    def fetch(self, path: Path, told: Callable[[str, int, int], None] | None = None) -> None:
        """Writes its content to a path.

        Args:
            path: file that is written; part of it may be left where this fails.
            told: receives the address, the bytes that are there, and all of them.

        Raises:
            FileNotFoundError: it is no longer there.
            ConnectionError: it cannot be read, or is cut short.
            OSError: the path cannot be written.
        """
        import fsspec

        callback = fsspec.callbacks.Callback(size=self.size)
        if told is not None and self.size:
            size = self.size
            callback.hooks["told"] = lambda _, value, **__: told(
                self.address, min(value, size - 1), size
            )
        web = {"headers": {"Accept-Encoding": "identity"}} if is_web(self.address) else {}
        with _in_words(self.address):
            self.system.get_file(self.path, str(path), callback=callback, **web)
        found = path.stat().st_size
        if self.size is not None and found != self.size:
            raise ConnectionError(
                f"{self.address}: expected {self.size} bytes, got {found}; try again."
            )
        if told is not None and self.size:
            told(self.address, self.size, self.size)


# Gives the place of a file here, which is fetched unless that was done before.
Keep = Callable[[RemoteFile], Path]
keeping: contextvars.ContextVar[Keep | None] = contextvars.ContextVar("keeping", default=None)


def check_readable(address: str) -> None:
    """Checks that files of a kind of address can be read here.

    Raises:
        InputError: a package is missing, the kind of address is unknown, or it is no address.
    """
    shown, scheme = public(address), scheme_of(address)
    try:
        urlsplit(address)
    except ValueError as error:
        raise InputError(f"Expected an address, got {shown} ({error}).") from None
    try:
        import fsspec
    except ImportError:
        raise InputError(
            f"Expected fsspec to be installed to read {shown}, got none; run: pip install "
            "'keras-transformer-zoo[remote]'."
        ) from None
    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError:
        raise InputError(
            f"Expected an address that begins with s3://, gs://, https:// or another that fsspec "
            f"knows, got {shown}."
        ) from None
    except ImportError as error:
        package = _PACKAGES.get(scheme, error.name or scheme)
        raise InputError(
            f"Expected {package} to be installed to read {shown}, got none; run: pip install "
            f"{package}."
        ) from None


def fetched(address: str) -> list[Path]:
    """Returns the files of an address or a pattern here, in the order of their addresses.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: nothing matches the pattern; or see `check_readable`.
        ConnectionError: the store cannot be reached.
        OSError: the files cannot be written.
    """
    keep = keeping.get() or _kept_for_now
    found = []
    for file in _listed(address):
        path = keep(file)
        _address_of[path] = file.address
        found.append(path)
    return found


def named(path: Any) -> Any:
    """Returns the address of a file that was fetched; any other path as it is."""
    return _address_of.get(path, path)


@contextlib.contextmanager
def said_by_address() -> Iterator[None]:
    """Lets what an InputError says of a fetched file name its address."""
    try:
        yield
    except InputError as error:
        text = str(error)
        for path, address in _address_of.items():
            text = text.replace(str(path), address)
        raise InputError(text) from None


def _listed(address: str) -> list[RemoteFile]:
    """The files of an address, as the store has them now."""
    check_readable(address)
    shown = public(address)
    if lacks_query(shown):
        raise InputError(
            f"Expected the address {shown} with its query, which no recipe holds: give it again."
        )
    with _in_words(shown):
        system, path = _opened(in_full(shown))
        system.invalidate_cache()
        paths = [path]
        if is_remote_pattern(shown):
            paths = sorted(name for name in system.glob(path) if not name.endswith("/"))
        infos = [(name, system.info(name)) for name in paths]
    files = []
    for name, info in infos:
        if info.get("type", "file") == "file":
            is_one = not is_remote_pattern(shown)
            own = shown if is_one else public(system.unstrip_protocol(name))
            files.append(_file(own, system, name, info))
    if not files and is_remote_pattern(shown):
        raise InputError(f"{shown}: expected a file that matches the pattern, got none.")
    if not files:
        raise InputError(f"{shown}: expected a file, got a folder; name its files by a pattern.")
    return files


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    import fsspec

    options: dict[str, Any] = {}
    if is_web(address):
        import aiohttp

        # Its own bound of five minutes is one of whole files.
        options["client_kwargs"] = {
            "timeout": aiohttp.ClientTimeout(
                total=None, sock_connect=_SECONDS, sock_read=_SECONDS
            )
        }
    return fsspec.core.url_to_fs(address, **options)


def _file(address: str, system: Any, path: str, info: Mapping[str, Any]) -> RemoteFile:
    name = unquote(PurePosixPath(urlsplit(address).path).name) or "file"
    return RemoteFile(
        address=str(address), name=re.sub(r"[^\w.+=-]", "_", name)[-100:].lstrip(".") or "file",
        size=info.get("size"), system=system, path=path,
        marks={mark: str(info[mark]) for mark in _FINGERPRINTS if info.get(mark) is not None},
    )  # fmt: skip


@contextlib.contextmanager
def _in_words(address: str) -> Iterator[None]:
    """Makes one sentence, without secrets, of whatever a store's package raises."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_DISK:
            raise
        reason = error.__cause__ or error
        is_gone = isinstance(error, FileNotFoundError) and (
            reason is error or getattr(reason, "status", None) in (404, 410)
        )
        if is_gone:
            raise no_file(address) from None
        said = re.sub(r"\S*://\S*", address, " ".join(str(reason).split()))
        kind = type(reason).__name__
        raise ConnectionError(
            f"{address}: the file cannot be read ({kind}{f': {said}' if said else ''})."
        ) from None


def _kept_for_now(file: RemoteFile) -> Path:
    """Keeps a file until the process ends."""
    name = hashlib.sha256(str(sorted(file.key.items(), key=str)).encode()).hexdigest()[:16]
    path = _folder() / name / file.name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        file.fetch(partial)
        os.replace(partial, path)
    return path


@contextlib.contextmanager
def kept_for_now() -> Iterator[None]:
    """Lets all runs in the context share what is fetched, which is gone when the process ends."""
    token = keeping.set(_kept_for_now)
    try:
        yield
    finally:
        keeping.reset(token)


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="keras-transformer-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
