"""SentencePiece's precompiled table of characters: what each sequence is replaced by."""

import functools
import re
import struct
import unicodedata

import numpy as np

from keras_transformer.zoo.errors import InputError

# A unit of the trie (darts-clone): the byte that leads to it and a mark of values in the lowest and
# highest bits, whether it has a value, and the place of its children, exclusive-or its own.
_LABEL = 0x800000FF
_HAS_VALUE = 0x100
_VALUE = 0x7FFFFFFF
_PRINTED = range(0x20, 0x7F)
_MOST_CHARACTERS, _MOST_BYTES = 64, 1024
# A word with the spaces before it, and the spaces at the end.
_CHUNKS = re.compile(" *[^ ]+| +")
_CACHED = 1 << 16
# `tokenizers` replaces clusters of fewer bytes as a whole.
_LONG_CLUSTER = 6
# Characters that extend a cluster and are no marks: joiners, halfwidth marks, vowels of Thai and
# Lao, shades of skin, and tags.
_EXTENDING = frozenset("\u200c\u200d\uff9e\uff9f\u0e33\u0eb3").union(
    map(chr, (*range(0x1F3FB, 0x1F400), *range(0xE0020, 0xE0080)))
)
# Marks that do not extend one, and categories of what is not extended.
_APART = frozenset(
    "\u102b\u102c\u1038\u1062\u1063\u1064\u1067\u1068\u1069\u106a\u106b\u106c\u106d\u1083\u1087"
    "\u1088\u1089\u108a\u108b\u108c\u108f\u109a\u109b\u109c\u1a61\u1a63\u1a64\uaa7b\uaa7d\U00011720"
    "\U00011721"
)
_CONTROLS = ("Cc", "Cf", "Zl", "Zp")


class Charsmap:
    """Replaces the longest sequence of the table at each position of a text.

    Args:
        data: the table as SentencePiece has it: the size of a trie, the trie, and the results.
        by_cluster: whether the table is read as the `tokenizers` library does: a cluster of
            characters (UAX 29) of less than six bytes is replaced whole, by the result of its
            shortest beginning, and others character by character.

    Raises:
        InputError: if the data is no such table. Damage inside it is found by the texts that lead
            there.
    """

    def __init__(self, data: bytes, *, by_cluster: bool = False):
        if len(data) < 8:
            raise InputError(f"Expected a table of characters, got {len(data)} bytes.")
        [size] = struct.unpack_from("<I", data)
        if size % 4 or not 4 <= size <= len(data) - 4:
            raise InputError(
                f"Expected a table of characters with a trie of {size} bytes, got {len(data)} "
                "bytes."
            )
        # Not enumerated: NFKC has 225,000 sequences, and texts lead to few of them.
        self._units = np.frombuffer(data, "<u4", size // 4, 4).tolist()
        self._results = data[4 + size :]
        # Words repeat, and so do characters.
        self._step = functools.lru_cache(_CACHED)(self._find_step)
        self._chunk = functools.lru_cache(_CACHED)(
            self._replace_clusters if by_cluster else self._replace_longest
        )
        self._is_plain = not any(
            self._has_value(node) or any(self._child(node, byte) for byte in _PRINTED)
            for first in _PRINTED if (node := self._child(0, first))
        )  # fmt: skip

    def normalize(self, text: str) -> str:
        """Returns the text with its sequences replaced."""
        if self._is_kept(text):
            return text
        parts = []
        for chunk in _CHUNKS.findall(text):
            if (part := self._chunk(chunk)) is None:
                # Some sequence of the table goes on behind a space.
                whole = self._replace_longest(text, is_whole=True)
                assert whole is not None
                return whole
            parts.append(part)
        return "".join(parts)

    def _is_kept(self, text: str) -> bool:
        return self._is_plain and text.isascii() and text.isprintable()

    def _replace_longest(self, text: str, is_whole: bool = False) -> str | None:
        """The text with its longest sequences replaced; None where a space could extend one."""
        if self._is_kept(text):
            return text
        found, start = [], 0
        while start < len(text):
            node, best, after = 0, text[start], start + 1
            for end in range(start + 1, min(len(text), start + _MOST_CHARACTERS) + 1):
                step = self._step(node, text[end - 1])
                if step is None:
                    break
                node, result = step
                if result is not None:
                    best, after = result, end
            else:
                if not is_whole and self._step(node, " ") is not None:
                    return None
            found.append(best)
            start = after
        return "".join(found)

    def _replace_clusters(self, text: str) -> str:
        """The text with its short clusters replaced, and the characters of its longer ones."""
        if self._is_kept(text):
            return text
        found, start = [], 0
        while start < len(text):
            end = start + 1
            if text[start : start + 2] == "\r\n":
                end += 1
            elif unicodedata.category(text[start]) not in _CONTROLS or text[start] in _EXTENDING:
                while end < len(text) and _extends(text[end]):
                    end += 1
            cluster = text[start:end]
            whole = None
            if len(cluster) < _LONG_CLUSTER and len(cluster.encode()) < _LONG_CLUSTER:
                whole = self._first_result(cluster)
            if whole is not None:
                found.append(whole)
            else:
                results = ((one, self._first_result(one)) for one in cluster)
                found += [one if result is None else result for one, result in results]
            start = end
        return "".join(found)

    def _first_result(self, text: str) -> str | None:
        """The result of the shortest sequence that the text begins with."""
        node = 0
        for character in text:
            step = self._step(node, character)
            if step is None:
                return None
            node, result = step
            if result is not None:
                return result
        return None

    def _find_step(self, node: int, character: str) -> tuple[int, str | None] | None:
        """The node that a character leads to and its result; None where it leads nowhere."""
        for byte in character.encode():
            child = self._child(node, byte)
            if child is None:
                return None
            node = child
        return node, self._result(node) if self._has_value(node) else None

    def _child(self, node: int, byte: int) -> int | None:
        child = node ^ _offset(self._units[node]) ^ byte
        is_child = child < len(self._units) and self._units[child] & _LABEL == byte
        return child if is_child else None

    def _has_value(self, node: int) -> bool:
        return self._units[node] & _HAS_VALUE > 0

    def _result(self, node: int) -> str:
        leaf = node ^ _offset(self._units[node])
        if leaf >= len(self._units):
            raise InputError(
                f"Expected a table of characters with values below {len(self._units)}, got {leaf}."
            )
        start = self._units[leaf] & _VALUE
        end = self._results.find(b"\0", start, start + _MOST_BYTES)
        if end < 0:
            raise InputError(
                f"Expected a table of characters with results of at most {_MOST_BYTES} bytes, got "
                f"none at byte {start}."
            )
        try:
            return self._results[start:end].decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"Expected a table of characters in UTF-8, got an error: {error}."
            ) from None


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)


@functools.lru_cache(_CACHED)
def _extends(character: str) -> bool:
    """Whether a character belongs to the cluster of the one before it."""
    if character in _EXTENDING:
        return True
    return unicodedata.category(character)[0] == "M" and character not in _APART
