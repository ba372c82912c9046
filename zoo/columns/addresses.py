"""Addresses of files in object stores and on web servers.

An address is shown and recorded without what may be a secret: a name and password before its host,
and a query, where signatures stand. What it was in full is known to the process that was given it.
"""

import glob
import hashlib
import re
from typing import Any

_SCHEME = "[A-Za-z][A-Za-z0-9+.-]"
# What is in something else has its address before that of the other: zip://a.tsv::https://b.zip.
_ADDRESS = re.compile(rf"({_SCHEME}+::)*{_SCHEME}+://")
_SAME = rf"(?!::{_SCHEME}+://)"
_SCHEMES = re.compile(rf"(?:^|(?<=::)){_SCHEME}+(?=://|::)")
# Up to the host, the host with what stands before it, and the rest.
_PARTS = re.compile(rf"({_SCHEME}+://)((?:{_SAME}[^/?#])*)((?:{_SAME}.)*)", re.DOTALL)
_WEB = ("http", "https")
_MARK = "sha256="
_HASHED = re.compile(rf"\?{_MARK}[0-9a-f]{{8}}(::|$)")

# Address as it is shown -> in full.
_full: dict[str, str] = {}


class Address(str):
    """An address without secrets, which stays usable in other processes that it is sent to."""

    def __reduce__(self) -> tuple[Any, ...]:
        return public, (in_full(self),)


def is_remote(source: Any) -> bool:
    """Whether a source is an address such as `s3://bucket/a.tsv`, not a path of this machine."""
    return isinstance(source, str) and _ADDRESS.match(source) is not None


def public(source: Any) -> Any:
    """Returns an address without what may be a secret; what is none is returned as it is.

    Of a query its hash is left, which tells addresses apart. Schemes are in lower case, as fsspec
    knows them.
    """
    if not is_remote(source):
        return source
    full = _SCHEMES.sub(lambda found: found[0].lower(), source)
    shown = Address(_PARTS.sub(_without_secrets, full))
    if shown != full:
        _full[shown] = full
    return shown


def _without_secrets(found: re.Match[str]) -> str:
    scheme, host, path = found.groups()
    if is_web(scheme):
        path, mark, query = path.partition("#")[0].partition("?")
        if query and not query.startswith(_MARK):
            query = f"{_MARK}{hashlib.sha256(query.encode()).hexdigest()[:8]}"
        path += mark + query
    return scheme + host.rpartition("@")[2] + path


def is_remote_pattern(address: str) -> bool:
    """Whether an address stands for all files that match it; a `?` begins a query on the web."""
    if is_web(address):
        return "*" in re.split("[?#]", address, maxsplit=1)[0]
    return glob.has_magic(address)


def in_full(address: str) -> str:
    """Returns an address that is shown as this process was given it."""
    return _full.get(address, str(address))


def lacks_query(address: str) -> bool:
    """Whether a query belongs to an address, of which this process knows the hash alone."""
    return _HASHED.search(address) is not None and address not in _full


def is_web(address: str) -> bool:
    """Whether an address is one of a web server."""
    return scheme_of(address) in _WEB


def scheme_of(address: str) -> str:
    """Returns what an address begins with, such as s3, in lower case."""
    return address.partition("://")[0].lower()
