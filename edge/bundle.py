"""One file: a TFLite flatbuffer with a ZIP archive of all that the model needs appended to it.

TFLite's own metadata packs associated files in this way: interpreters read the flatbuffer from
the front, and ZIP readers find the archive from the end. Imports only the standard library.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_transformer.zoo.errors import InputError

DESCRIPTION = "model.json"
FORMAT = "keras-transformer-zoo tflite 1"
TFLITE_IDENTIFIER = b"TFL3"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that equal contents give equal bytes


def pack(flatbuffer: bytes, description: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Returns the flatbuffer with the description and the files appended.

    Args:
        flatbuffer: a TFLite model.
        description: what JSON can hold.
        files: contents by plain name.
    """
    text = json.dumps(
        {
            "format": FORMAT,
            "flatbuffer_bytes": len(flatbuffer),
            "flatbuffer_sha256": hashlib.sha256(flatbuffer).hexdigest(),
            **description,
        },
        indent=1, ensure_ascii=False,
    )  # fmt: skip
    buffer = io.BytesIO(flatbuffer)
    # Stored, not deflated: mobile readers map the members without unpacking them.
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, data in {DESCRIPTION: text.encode(), **files}.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return buffer.getvalue()


def unpack(path: str | Path) -> tuple[bytes, dict[str, Any], dict[str, bytes]]:
    """Returns the flatbuffer, the description and the files of a packed model.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is no TFLite file, not one of ours, cut short or changed.
    """
    data = Path(path).read_bytes()
    if data[4:8] != TFLITE_IDENTIFIER:
        raise InputError(f"{path} is no TFLite file.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        description = json.loads(files.pop(DESCRIPTION))
        known = description["format"] == FORMAT
        flatbuffer = data[: description["flatbuffer_bytes"]]
        intact = hashlib.sha256(flatbuffer).hexdigest() == description["flatbuffer_sha256"]
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, RuntimeError):
        raise InputError(
            f"{path} holds no description of its model: it was cut short, or not written by "
            "keras-transformer convert."
        ) from None
    if not known:
        raise InputError(f"{path} is of an unknown format {description['format']!r}.")
    if not intact:
        raise InputError(f"{path} was changed after it was written.")
    return flatbuffer, description, files
