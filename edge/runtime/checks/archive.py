"""Reads the ZIP archive behind a flatbuffer: the members that are known, each and together bounded.

Imports only the standard library.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Collection
from typing import Any

from keras_transformer.zoo.errors import InputError

# A vocabulary of a million pieces has about 20 MB.
MOST_MEMBER_BYTES, MOST_BYTES, MOST_MEMBERS = 64 << 20, 128 << 20, 64
_PIECE = 1 << 20
# What `zipfile` raises of archives that are damaged.
_ERRORS = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError
)  # fmt: skip


def read_members(data: bytes, name: str, known: Collection[str]) -> dict[str, bytes]:
    """Returns the contents of the known members by name; others are passed over.

    Args:
        data: the file.
        name: of the file, for messages.
        known: names.

    Raises:
        InputError: the archive is damaged, or inflates to more than is allowed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive, name, known)
    except InputError:
        raise
    except _ERRORS as error:
        raise InputError(f"{name} is damaged: its archive cannot be read ({error}).") from None


def _read(archive: zipfile.ZipFile, name: str, known: Collection[str]) -> dict[str, bytes]:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise InputError(
            f"{name} is damaged: its archive has {len(members)} members, more than {MOST_MEMBERS}."
        )
    files: dict[str, bytes] = {}
    left = MOST_BYTES
    for member in members:
        check_plain(member.filename)
        if member.filename in files:
            raise InputError(f"{name} is damaged: its archive holds {member.filename!r} twice.")
        if member.filename not in known:
            continue
        most = min(left, MOST_MEMBER_BYTES)
        # What the archive says of a size need not be so.
        pieces, size = [], 0
        with archive.open(member) as file:
            while piece := file.read(_PIECE):
                size += len(piece)
                if size > most:
                    raise InputError(
                        f"{name} is damaged: {member.filename} in its archive inflates to more "
                        f"than {most} bytes."
                    )
                pieces.append(piece)
        files[member.filename] = b"".join(pieces)
        left -= size
    return files


def read_json(data: bytes, what: str) -> Any:
    """Returns the value that JSON says.

    Args:
        data: the bytes.
        what: they are, for messages.

    Raises:
        InputError: they are no JSON in UTF-8, or it is nested too deep to be read.
    """
    try:
        return json.loads(data.decode())
    except UnicodeDecodeError:
        raise InputError(f"{what} is damaged: it is not UTF-8.") from None
    except RecursionError:
        raise InputError(f"{what} is damaged: its JSON is nested too deep.") from None
    except ValueError as error:
        raise InputError(f"{what} is damaged: it is not JSON ({error}).") from None


def check_plain(name: str) -> None:
    """Raises InputError for the name of an attached file that would leave its folder."""
    if name in ("", ".", "..") or set(name) & set("/\\:\0"):
        raise InputError(f"Expected plain names of attached files, without a folder, got {name!r}.")
