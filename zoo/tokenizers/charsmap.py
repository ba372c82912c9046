"""SentencePiece's precompiled table of characters: what each sequence is replaced by."""

import functools
import struct

import numpy as np

from keras_transformer.zoo.errors import InputError

# A unit of the trie (darts-clone): the byte that leads to it and a mark of values in the lowest and
# highest bits, whether it has a value, and the place of its children, exclusive-or its own.
_LABEL = 0x800000FF
_HAS_VALUE = 0x100
_MOST_BYTES = 64


class Charsmap:
    """Replaces the longest sequence of the table at each position of a text.

    Args:
        data: the table as SentencePiece has it: the size of a trie, the trie, and the results.

    Attributes:
        rules: results by sequence of characters.

    Raises:
        InputError: if the data is no such table.
    """

    def __init__(self, data: bytes):
        self.rules = _rules(data)
        self._longest: dict[str, int] = {}
        for source in self.rules:
            self._longest[source[0]] = max(self._longest.get(source[0], 0), len(source))
        self._is_plain = not any(s.isascii() and s.isprintable() for s in self.rules)

    def normalize(self, text: str) -> str:
        """Returns the text with its sequences replaced."""
        if self._is_plain and text.isascii() and text.isprintable():
            return text
        found, start = [], 0
        while start < len(text):
            length = self._longest.get(text[start], 0)
            while length and text[start : start + length] not in self.rules:
                length -= 1
            found.append(self.rules[text[start : start + length]] if length else text[start])
            start += length or 1
        return "".join(found)


@functools.lru_cache(4)
def _rules(data: bytes) -> dict[str, str]:
    """The rules of a table."""
    if len(data) < 8:
        raise InputError(f"Expected a table of characters, got {len(data)} bytes.")
    [size] = struct.unpack_from("<I", data)
    if size % 4 or not 4 <= size <= len(data) - 4:
        raise InputError(
            f"Expected a table of characters with a trie of {size} bytes, got {len(data)} bytes."
        )
    units = np.frombuffer(data, "<u4", size // 4, 4)
    results = data[4 + size :]
    try:
        return {
            key.decode(): results[start : results.index(b"\0", start)].decode()
            for key, start in _keys(units)
        }
    except ValueError as error:
        raise InputError(
            f"Expected a table of characters in UTF-8, got an error: {error}."
        ) from None


def _keys(units: np.ndarray):
    """Yields the keys of a trie and their values, level by level."""
    labels = np.arange(1, 256, dtype=np.uint32)
    level = [(b"", 0)]
    seen = 0
    for _ in range(_MOST_BYTES):
        below = []
        for prefix, place in level:
            base = place ^ _offset(int(units[place]))
            children = labels ^ np.uint32(base)
            inside = children < len(units)
            match = np.zeros(255, bool)
            match[inside] = (units[children[inside]] & _LABEL) == labels[inside]
            for label, child in zip(labels[match], children[match], strict=True):
                key, unit = prefix + bytes([int(label)]), int(units[child])
                if unit & _HAS_VALUE:
                    leaf = int(child) ^ _offset(unit)
                    if leaf >= len(units):
                        raise ValueError(f"a value at {leaf} of {len(units)} units")
                    yield key, int(units[leaf]) & 0x7FFFFFFF
                below.append((key, int(child)))
        seen += len(below)
        if seen > len(units):
            raise ValueError("a trie that leads back to itself")
        if not below:
            return
        level = below
    raise ValueError(f"sequences of more than {_MOST_BYTES} bytes")


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)
