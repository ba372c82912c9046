"""Makes the hashes of changed files and folders anew, as whoever changes them on purpose does.

Written without the product's own code, so that no file is one that its process vouches for.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

HASH_BYTES = 64
MANIFEST = "manifest.json"


def seal(body: bytes) -> bytes:
    """Returns a file of its bytes before the hash, the archive's comment."""
    return body + hashlib.sha256(body).hexdigest().encode()


def seal_file(graphs: bytes, description: bytes, files: Mapping[str, bytes]) -> bytes:
    """Returns a packed file of whatever its parts are."""
    size = len(graphs)
    try:
        value = json.loads(description)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and value.get("flatbuffer_bytes") is not None and graphs:
        value["flatbuffer_bytes"] = size
        description = json.dumps(value, ensure_ascii=True).encode()
    buffer = io.BytesIO(graphs)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"model.json": description, **files}.items():
            archive.writestr(name, data)
        archive.comment = bytes(HASH_BYTES)
    return seal(buffer.getvalue()[:-HASH_BYTES])


def seal_folder(folder: Path) -> None:
    """Writes the hashes of a checkpoint's files into its manifest, if that can still hold them."""
    path = folder / MANIFEST
    if not path.exists():
        return
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict) or not isinstance(value.get("sha256"), dict):
        return
    for name in list(value["sha256"]):
        file = folder / name
        if isinstance(value["sha256"][name], str) and "\0" not in name and file.is_file():
            value["sha256"][name] = hashlib.sha256(file.read_bytes()).hexdigest()
    path.write_text(json.dumps(value), encoding="utf-8")
