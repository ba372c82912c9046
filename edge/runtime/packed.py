"""Packed files: a TFLite flatbuffer with an appended ZIP archive of all that the model needs.

TFLite's own metadata packs associated files in this way: interpreters read the flatbuffer from
the front, and ZIP readers find the archive from the end. The archive's comment, the last bytes of
the file, is the hash of all bytes before it. Imports only the standard library.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsBytes

from keras_transformer.zoo.errors import InputError

DESCRIPTION = "model.json"
FORMAT = "keras-transformer-zoo tflite 1"
TFLITE_IDENTIFIER = b"TFL3"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that equal contents give equal bytes
_HASH_BYTES = 64
# Name in messages of a file without a path.
NAMELESS = "the file"

# Source of a file: its path, its bytes, or an object that `bytes()` converts.
Source = str | os.PathLike | bytes | SupportsBytes


def pack(
    flatbuffer: bytes, description: Mapping[str, Any], files: Mapping[str, bytes], *,
    is_stored: bool = False,
) -> bytes:  # fmt: skip
    """Returns the flatbuffer with the description and the files appended.

    Args:
        flatbuffer: a TFLite model.
        description: a JSON-serializable description.
        files: contents by name, without folders.
        is_stored: whether files are stored uncompressed, for hosts that map them into memory.

    Raises:
        InputError: if a name contains a folder.
    """
    values = {"format": FORMAT, "flatbuffer_bytes": len(flatbuffer), **description}
    for name in files:
        _check_plain(name)
    compression = zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED
    text = json.dumps(values, indent=1, ensure_ascii=False)
    buffer = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, data in {DESCRIPTION: text.encode(), **files}.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, compression)
        archive.comment = bytes(_HASH_BYTES)
    body = buffer.getvalue()[:-_HASH_BYTES]
    return body + _hash(body)


def unpack(source: Source) -> tuple[bytes, dict[str, Any], dict[str, bytes]]:
    """Returns the flatbuffer, the description and the files of a packed model.

    Args:
        source: a path, the bytes of a file, or an object that `bytes()` converts.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not a TFLite file, was not made by `convert`, or is truncated or
            modified.
        TypeError: if the source has another type.
    """
    data, name = contents(source), name_of(source)
    if data[4:8] != TFLITE_IDENTIFIER:
        raise InputError(f"{name} is no TFLite file.")
    if data[-_HASH_BYTES:] != _hash(data[:-_HASH_BYTES]):
        raise InputError(
            f"{name} is not as keras-transformer convert wrote it: it was made by another "
            "program, cut short or changed."
        )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for plain in archive.namelist():
            _check_plain(plain)
        files = {plain: archive.read(plain) for plain in archive.namelist()}
    description = json.loads(files.pop(DESCRIPTION))
    if description["format"] != FORMAT:
        raise InputError(
            f"{name} is of the format {description['format']!r}, this version reads {FORMAT!r}."
        )
    return data[: description["flatbuffer_bytes"]], description, files


def contents(source: Source) -> bytes:
    """Returns the bytes of a file, see `unpack`."""
    if isinstance(source, str | os.PathLike):
        return Path(source).read_bytes()
    if isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "__bytes__"):
        return bytes(source)
    raise TypeError(
        f"Expected the path of a .tflite file, its bytes, or what convert returned, got {source!r}."
    )


def name_of(source: Source) -> str:
    """Returns a path as text, or `the file` where there is none."""
    if isinstance(source, str | os.PathLike):
        return str(source)
    path = getattr(source, "path", None)
    return NAMELESS if path is None else str(path)


def names_of(sources: Sequence[Source]) -> list[str]:
    """Returns the names of several files; those without a path are numbered."""
    names = [name_of(source) for source in sources]
    if len(names) == 1:
        return names
    return [
        f"file {number}" if name == NAMELESS else name for number, name in enumerate(names, start=1)
    ]


def _check_plain(name: str) -> None:
    """Raises InputError if the name of an attached file contains a folder."""
    if name in ("", ".", "..") or set(name) & set("/\\:\0"):
        raise InputError(f"Expected plain names of attached files, without a folder, got {name!r}.")


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
