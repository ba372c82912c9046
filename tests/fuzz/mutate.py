"""Damage to bytes and to values of JSON, drawn from a seeded generator."""

import copy
import json
import random
import struct
from typing import Any

# What breaks readers: ends of ranges, sizes that no machine has, text that is none.
INTEGERS = (
    0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1,
    2**32 - 2, 2**32 - 4,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, -(10**30), 1e308, -0.5, 0.1, float("nan"),
    float("inf"), "", "a", "\x00", "\ud800", "../../x", "/etc/passwd", "a" * 10_000, "\x1b]0;x\x07",
    [], [1], [[]], ["a", 1], {}, {"a": 1}, {"": None}, [None] * 3,
)  # fmt: skip
PIECES = (
    b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n", b"\t", b'"', b",", b"\\",
    b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"NaN", b"1e999", b"null", b"{", b"[" * 3000,
    b"9" * 5000, b"\x1b[2J", b"a" * 200_000,
)  # fmt: skip


def damaged_bytes(data: bytes, rng: random.Random, most: int = 4) -> bytes:
    """Returns bytes with up to `most` changes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, most)):
        rng.choice(_CHANGES)(changed, rng)
    return bytes(changed)


def _flip(data, rng):
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _byte(data, rng):
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _integer(data, rng):
    form = rng.choice(("<H", "<I", "<I", "<i", "<Q"))
    size = struct.calcsize(form)
    if len(data) >= size:
        value = rng.choice(INTEGERS) % 2 ** (8 * size - (form == "<i"))
        struct.pack_into(form, data, rng.randrange(len(data) - size + 1) // 2 * 2, value)


def _moved(data, rng):
    """A number near what is there: an offset that is a little off."""
    if len(data) >= 4:
        place = rng.randrange(len(data) - 3) // 4 * 4
        value = struct.unpack_from("<I", data, place)[0] + rng.choice((-8, -4, -1, 1, 4, 8, 64))
        struct.pack_into("<I", data, place, value % 2**32)


def _cut(data, rng):
    if data:
        start = rng.randrange(len(data))
        del data[start : start + rng.choice((1, 4, 100, len(data)))]


def _insert(data, rng):
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.choice(PIECES)


def _copy(data, rng):
    if data:
        start, place = rng.randrange(len(data)), rng.randrange(len(data))
        data[place:place] = data[start : start + rng.randint(1, 64)]


_CHANGES = (_flip, _byte, _integer, _integer, _moved, _cut, _insert, _copy)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Returns the paths of all values within a value of JSON."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, one in items:
        found += places(one, (*path, key))
    return found


def damaged_value(value: Any, rng: random.Random, most: int = 3) -> Any:
    """Returns a value of JSON with up to `most` values in it replaced, removed or added."""
    changed = copy.deepcopy(value)
    for _ in range(rng.randint(1, most)):
        paths = places(changed)
        if not paths:
            return copy.deepcopy(rng.choice(VALUES))
        *outer, last = rng.choice(paths)
        target = changed
        for key in outer:
            target = target[key]
        action = rng.randrange(10)
        if action < 6:
            target[last] = copy.deepcopy(rng.choice(VALUES))
        elif action < 7 and isinstance(target[last], int):
            target[last] = target[last] + rng.choice((-1, 1, 1000, 2**20))
        elif action < 9:
            del target[last]
        elif isinstance(target, dict):
            target[rng.choice(("", "extra", "\x00", "\ud800"))] = copy.deepcopy(rng.choice(VALUES))
    return changed


def damaged_json(data: bytes, rng: random.Random) -> bytes:
    """Returns JSON that says other values, or bytes that are JSON no longer."""
    action = rng.randrange(10)
    if action == 0:
        return damaged_bytes(data, rng)
    if action == 1:
        depth = rng.choice((500, 5_000, 100_000))
        return b"[" * depth + b"]" * depth
    value = damaged_value(json.loads(data), rng)
    return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")
