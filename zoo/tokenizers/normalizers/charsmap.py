"""SentencePiece's precompiled table of characters: what each sequence is replaced by."""

import functools
import struct
from collections.abc import Iterator

import numpy as np

from keras_transformer.zoo.errors import InputError

# A unit of the trie (darts-clone): the byte that leads to it and a mark of values in the lowest and
# highest bits, whether it has a value, and the place of its children, exclusive-or its own.
_LABEL = 0x800000FF
_HAS_VALUE = 0x100
_MOST_BYTES = 64
_MOST_NODES = 1 << 20
# Nodes whose children are looked up at once, which takes 2 kB for each.
_AT_ONCE = 4096


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


def _keys(units: np.ndarray) -> Iterator[tuple[bytes, int]]:
    """Yields the keys of a trie and their values, level by level."""
    offsets = ((units >> 10) << ((units & 0x200) >> 6)).astype(np.int64)
    labels = np.arange(1, 256)
    prefixes, places, count = [b""], np.zeros(1, np.int64), 0
    while prefixes:
        count += len(prefixes)
        if count > _MOST_NODES or len(prefixes[0]) > _MOST_BYTES:
            raise ValueError("a trie that leads back to itself")
        below, found = [], []
        for start in range(0, len(prefixes), _AT_ONCE):
            base = places[start : start + _AT_ONCE] ^ offsets[places[start : start + _AT_ONCE]]
            children = base[:, None] ^ labels
            inside = children < len(units)
            children[~inside] = 0
            parents, columns = np.nonzero(inside & ((units[children] & _LABEL) == labels))
            found.append(children[parents, columns])
            below += [
                prefixes[start + parent] + bytes([column + 1])
                for parent, column in zip(parents.tolist(), columns.tolist(), strict=True)
            ]
        prefixes, places = below, np.concatenate(found)
        leaves = places ^ offsets[places]
        has_value = (units[places] & _HAS_VALUE) > 0
        if np.any(leaves[has_value] >= len(units)):
            raise ValueError("a trie with values outside it")
        for i in np.nonzero(has_value)[0].tolist():
            yield prefixes[i], int(units[leaves[i]]) & 0x7FFFFFFF
