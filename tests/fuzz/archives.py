"""Archives behind a flatbuffer that are damaged on purpose."""

import io
import random
import struct
import warnings
import zipfile
from collections.abc import Mapping

from tests.fuzz.mutate import damaged_bytes
from tests.fuzz.seals import HASH_BYTES, seal

_NAMES = (
    "../evil", "/etc/evil", "a\\b", "", ".", "c:evil", "x\x00y", "labels.txt", "vocab.txt",
    "model.json", "ü" * 500, "readme",
)  # fmt: skip
_ATTACHED = (
    b"", b"\xff\xfe", b"[PAD]\n", b"a\n" * 100_000, b"\x00", b"[" * 100_000, b"{}", b"null",
    b"no newline", b"\n" * 50, b"a\x1b[2Jb\n",
)  # fmt: skip
_END, _ENTRY = b"PK\x05\x06", b"PK\x01\x02"
# Where a member's numbers stand behind the signature of its entry: flags, method, sizes, lengths.
_FIELDS = ((8, "<H"), (10, "<H"), (16, "<I"), (20, "<I"), (24, "<I"), (28, "<H"), (30, "<H"),
           (42, "<I"))  # fmt: skip


def damaged_archive(
    graphs: bytes, description: bytes, files: Mapping[str, bytes], rng: random.Random
) -> bytes:
    """Returns a file whose graphs are whole and whose archive is not, with its hash made anew."""
    members = [("model.json", description), *files.items()]
    # A bomb takes as long to make as all others together.
    action = 4 if rng.random() < 0.02 else rng.choice((0, 1, 2, 3, 5, 6))
    if action == 0:
        place = rng.randrange(1, len(members))
        members[place] = (members[place][0], rng.choice(_ATTACHED))
    elif action == 1:
        place = rng.randrange(1, len(members))
        members[place] = (members[place][0], damaged_bytes(members[place][1], rng))
    elif action == 2:
        members.append((rng.choice(_NAMES), rng.choice(_ATTACHED)))
    elif action == 3:
        del members[rng.randrange(len(members))]
    elif action == 4:
        name = rng.choice(("bomb", *(name for name, _ in members)))
        members = [one for one in members if one[0] != name]
        members.append((name, bytes(rng.choice((70, 150)) << 20)))
    buffer = io.BytesIO(graphs)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members:
            _write(archive, name, data)
        archive.comment = bytes(HASH_BYTES)
    body = bytearray(buffer.getvalue()[:-HASH_BYTES])
    if action == 5:
        _change_fields(body, len(graphs), rng)
    elif action == 6:
        tail = damaged_bytes(bytes(body[len(graphs) :]), rng)
        body = bytearray(graphs) + tail
    return seal(bytes(body))


def _write(archive, name, data):
    info = zipfile.ZipInfo("x" if not name else name)
    info.filename = name  # as it is, which `ZipInfo` cuts at a NUL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a name that is there twice
        archive.writestr(info, data, zipfile.ZIP_DEFLATED)


def _change_fields(body, start, rng):
    """Changes numbers of the central directory: flags, methods, sizes, places, or its end's."""
    entries = []
    place = body.find(_ENTRY, start)
    while place >= 0:
        entries.append(place)
        place = body.find(_ENTRY, place + 1)
    for _ in range(rng.randint(1, 2)):
        if rng.random() < 0.3 or not entries:
            end = body.rfind(_END)
            offset, form = rng.choice(((8, "<H"), (10, "<H"), (12, "<I"), (16, "<I"), (20, "<H")))
            place = end + offset
        else:
            offset, form = rng.choice(_FIELDS)
            place = rng.choice(entries) + offset
        size = struct.calcsize(form)
        value = rng.choice((0, 1, 6, 8, 9, 12, 14, 99, 2**16 - 1, 2**31, 2**32 - 1))
        struct.pack_into(form, body, place, value % 2 ** (8 * size))
