"""SentencePiece's tables of characters: what they replace, and what is no table."""

import struct

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.normalizers.charsmap import Charsmap

HAS_VALUE = 0x100


def table(results=b"x\0", value=0, size=None, leaf=2):
    """A table that replaces "a": a root, the unit of "a" with a value, and the value's."""
    # The children of the root are at 1 exclusive-or their byte, the root being at 0.
    place = 1 ^ ord("a")
    units = [0] * 256
    units[0] = 1 << 10
    units[place] = ord("a") | HAS_VALUE | (place ^ leaf) << 10
    if leaf < len(units):
        units[leaf] = 0x80000000 | value
    data = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(data) if size is None else size) + data + results


def test_a_sequence_is_replaced():
    assert Charsmap(table()).normalize("banana a") == "bxnxnx x"
    assert Charsmap(table(), by_cluster=True).normalize("ba\u0301 a") == "bx x"
    assert Charsmap(table()).normalize("ba\u0301 a") == "bx\u0301 x"
    assert Charsmap(table(results=b"\0")).normalize("aba") == "b"


@pytest.mark.parametrize(
    "data, message",
    [
        (b"\4\0\0", "a table of characters, got 3 bytes"),
        (table(size=1 << 20), "with a trie of 1048576 bytes, got 1030 bytes"),
        (table(size=3), "with a trie of 3 bytes"),
    ],
)
def test_what_is_no_table(data, message):
    with pytest.raises(InputError, match=message):
        Charsmap(data)


@pytest.mark.parametrize(
    "data, message",
    [
        (table(leaf=1000), "values below 256, got 1000"),
        (table(value=7), "results of at most 1024 bytes, got none at byte 7"),
        (table(results=b"x" * 2000 + b"\0"), "results of at most 1024 bytes, got none at byte 0"),
        (table(results=b"\xff\0"), "in UTF-8, got an error: 'utf-8'"),
    ],
)
def test_damage_is_found_where_a_text_leads_there(data, message):
    damaged = Charsmap(data)
    assert damaged.normalize("b") == "b"
    with pytest.raises(InputError, match=message):
        damaged.normalize("a")
