"""Packed files: a TFLite flatbuffer with an appended ZIP archive of all that the model needs.

TFLite's own metadata packs associated files in this way: interpreters read the flatbuffer from
the front, and ZIP readers find the archive from the end. The archive's comment, the last bytes of
the file, is the hash of all bytes before it. The hash has no key: it
shows what was cut short or changed by mistake; whoever changes a file on purpose makes it anew.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsBytes

from keras_transformer.edge.runtime.checks.archive import check_plain, read_json, read_members
from keras_transformer.zoo.errors import InputError, no_file
from keras_transformer.zoo.modalities.registry import MODALITIES

DESCRIPTION = "model.json"
FORMAT = "keras-transformer-zoo tflite 1"
TFLITE_IDENTIFIER = b"TFL3"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that equal contents give equal bytes
_HASH_BYTES = 64
# Entry of the description of a file that is compiled for an NPU, and the rows of a table that its
# host looks up.
NPU, TABLE = "npu", "table.int8"
LABELS, SCORE_CALIBRATION = "labels.txt", "score_calibration.txt"
# Hashes of the files that this process made, or saw LiteRT run in another one.
_VOUCHED: set[bytes] = set()
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
        check_plain(name)
    compression = zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED
    text = json.dumps(values, indent=1, ensure_ascii=False)
    buffer = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, data in {DESCRIPTION: text.encode(), **files}.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, compression)
        archive.comment = bytes(_HASH_BYTES)
    # In place: the body and the hash would be copies.
    with buffer.getbuffer() as data:
        digest = data[-_HASH_BYTES:] = _hash(data[:-_HASH_BYTES])
    _VOUCHED.add(digest)
    return buffer.getvalue()


def unpack(
    source: Source, name: str | None = None
) -> tuple[bytes, dict[str, Any], dict[str, bytes]]:
    """Returns the flatbuffer, the description and the files of a packed model.

    Args:
        source: a path, the bytes of a file, or an object that `bytes()` converts.
        name: of the file, for messages; that of the source by default.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not a TFLite file, was not made by `convert`, is truncated or modified,
            or its attached files cannot be read or inflate to more than is allowed.
        TypeError: if the source has another type.
    """
    data, name = contents(source), name or name_of(source)
    if data[4:8] != TFLITE_IDENTIFIER:
        raise InputError(f"{name} is no TFLite file.")
    if data[-_HASH_BYTES:] != _hash(memoryview(data)[:-_HASH_BYTES]):
        raise InputError(
            f"{name} is not as keras-transformer convert wrote it: it was made by another "
            "program, cut short or changed."
        )
    files = read_members(data, name, {DESCRIPTION, *_attached()})
    if DESCRIPTION not in files:
        raise InputError(f"{name} is damaged: its archive has no {DESCRIPTION}.")
    description = read_json(files.pop(DESCRIPTION), f"{DESCRIPTION} of {name}")
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise InputError(f"{name} is of the format {found!r}, this version reads {FORMAT!r}.")
    size = description.get("flatbuffer_bytes")
    if type(size) is not int or not 8 <= size <= len(data):
        raise InputError(f"{name} is damaged: it says that its graph has {size!r} bytes.")
    return data[:size], description, files


def _attached() -> set[str]:
    """Names of the files that a model may have."""
    names = (modality.file_names() for modality in MODALITIES.values())
    return {LABELS, SCORE_CALIBRATION, TABLE}.union(*names)


def vouch(data: bytes) -> None:
    """Remembers a file that LiteRT was seen to run."""
    _VOUCHED.add(data[-_HASH_BYTES:])


def is_vouched(data: bytes) -> bool:
    """Whether this process made a file, or LiteRT was seen to run it; its hash was checked."""
    return data[-_HASH_BYTES:] in _VOUCHED


def contents(source: Source) -> bytes:
    """Returns the bytes of a file, see `unpack`."""
    if isinstance(source, str | os.PathLike):
        try:
            return Path(source).read_bytes()
        except FileNotFoundError:
            raise no_file(source) from None
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


def _hash(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
