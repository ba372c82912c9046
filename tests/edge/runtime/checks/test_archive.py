import io
import json
import zipfile

import pytest

from keras_transformer.edge.runtime.checks import archive
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.zoo.errors import InputError
from tests.fuzz.seals import HASH_BYTES, seal

FLATBUFFER = b"\x20\0\0\0TFL3" + bytes(range(60))
DESCRIPTION = {"format": "keras-transformer-zoo tflite 1", "flatbuffer_bytes": len(FLATBUFFER)}


def packed(members, change=lambda body: body):
    """A file of members, with its hash made anew after a change."""
    buffer = io.BytesIO(FLATBUFFER)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as made:
        for name, data in members:
            made.writestr(name, data)
        made.comment = bytes(HASH_BYTES)
    return seal(change(buffer.getvalue()[:-HASH_BYTES]))


def described(**changes):
    return ("model.json", json.dumps({**DESCRIPTION, **changes}))


def message(data):
    with pytest.raises(InputError) as caught:
        unpack(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_members_that_are_not_known_are_not_read():
    members = [described(), ("labels.txt", b"a\n"), ("evil.py", bytes(100 << 20))]
    assert unpack(packed(members))[2] == {"labels.txt": b"a\n"}


@pytest.mark.parametrize("name", ["labels.txt", "model.json"])
def test_what_inflates_to_more_than_a_member_may_have(monkeypatch, name):
    monkeypatch.setattr(archive, "MOST_MEMBER_BYTES", 1000)
    members = dict([described(), ("labels.txt", b"a\n")]) | {name: bytes(5000)}
    found = message(packed(members.items()))
    assert f"{name} in its archive inflates to more than 1000 bytes" in found


def test_what_inflates_to_more_than_all_members_may_have(monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    members = [described(), ("labels.txt", bytes(600)), ("vocab.txt", bytes(600))]
    assert "vocab.txt in its archive inflates to more than" in message(packed(members))


def test_a_size_that_is_not_so():
    """What the archive says of a member's size is no bound of what is read."""

    def shrink(body):
        place = body.rindex(b"PK\x01\x02", 0, body.rindex(b"labels.txt"))
        return body[: place + 24] + bytes(4) + body[place + 28 :]

    assert "its archive cannot be read" in message(
        packed([described(), ("labels.txt", b"a\n" * 500)], shrink)
    )


def test_more_members_than_any_file_has():
    members = [described(), *((f"{number}.txt", b"") for number in range(64))]
    assert "its archive has 65 members, more than 64" in message(packed(members))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice():
    members = [described(), ("labels.txt", b"a\n"), ("labels.txt", b"b\n")]
    assert "its archive holds 'labels.txt' twice" in message(packed(members))


@pytest.mark.parametrize("name", ["../labels.txt", "/labels.txt", "a/b"])
def test_names_of_other_folders(name):
    assert f"without a folder, got {name!r}" in message(packed([described(), (name, b"")]))


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [(8, 1, "encrypted"), (10, 99, "compression method"), (10, 12, "")],
)
def test_members_that_no_file_of_ours_has(offset, value, reason):
    def change(body):
        place = body.rindex(b"PK\x01\x02", 0, body.rindex(b"labels.txt"))
        return body[: place + offset] + value.to_bytes(2, "little") + body[place + offset + 2 :]

    found = message(packed([described(), ("labels.txt", b"a\n")], change))
    assert "its archive cannot be read" in found
    assert reason in found


def test_no_archive():
    assert "its archive cannot be read" in message(seal(FLATBUFFER + bytes(100)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff", "is not UTF-8"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is nested too deep"),
        (b"[]", "is of the format None"),
        (b"{}", "is of the format None"),
    ],
)
def test_descriptions_that_are_none(data, reason):
    assert reason in message(packed([("model.json", data)]))


def test_no_description():
    assert "its archive has no model.json" in message(packed([("labels.txt", b"")]))


@pytest.mark.parametrize("size", [None, -1, 7, 10**9, 1.5, "8", True])
def test_sizes_of_the_graph_that_are_none(size):
    found = message(packed([described(flatbuffer_bytes=size)]))
    assert f"says that its graph has {size!r} bytes" in found


def test_names_are_checked_where_a_file_is_packed():
    with pytest.raises(InputError, match="without a folder, got 'a/b'"):
        pack(FLATBUFFER, {}, {"a/b": b""})
