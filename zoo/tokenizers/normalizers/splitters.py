"""Splitters: the parts of a text that byte-level BPE merges one by one.

Published splitters are regular expressions over Unicode's letters, numbers and white space, which
`re` does not have. Here every character is replaced by an ASCII one of its class, and an expression
over ASCII finds the parts at the same places.
"""

import functools
import re
import unicodedata
from collections.abc import Callable

# Unicode's White_Space outside ASCII.
_SPACES = frozenset(
    [*map(chr, range(0x2000, 0x200B)), *"\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"]
)
WHITE_SPACE = "".join(sorted(_SPACES | set("\t\n\v\f\r ")))
# The character of each class. Neither `a` nor `A` is in a contraction.
_LOWER, _UPPER, _UNCASED, _MARK, _NUMBER, _SPACE, _OTHER = "a", "A", "\x01", "\x02", "0", "\t", "!"
# The one character outside ASCII that equals a contraction's letter but for case.
_LONG_S = "\u017f"
# Expressions over classes.
_GPT2 = r"'(?:[stmd]|re|ve|ll)| ?[a-zA-Z]+| ?[0-9]+| ?[^\sa-zA-Z0-9]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"'(?:[stmdSTMD]|[rRvV][eE]|[lL][lL])|[^\r\na-zA-Z0-9]?[a-zA-Z]+|[0-9]{1,3}"
    r"| ?[^\sa-zA-Z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BEGIN, _END = r"A-Z\x01\x02", r"a-z\x01\x02"
_TEKKEN = (
    rf"[^\r\na-zA-Z0-9\x01]?[{_BEGIN}]*[{_END}]+|[^\r\na-zA-Z0-9\x01]?[{_BEGIN}]+[{_END}]*|[0-9]"
    r"| ?[^\sa-zA-Z0-9\x01]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class _Classes(dict):
    """Maps a code point to the character of its class, computed on first use.

    Args:
        has_case: whether capitals, letters without case and marks are classes of their own.
        folds: whether contractions are found whatever their case.
    """

    def __init__(self, *, has_case: bool, folds: bool):
        super().__init__((code, chr(code)) for code in range(128))
        self.update({ord(name): _OTHER for name in (_UNCASED, _MARK)})
        if folds:
            self[ord(_LONG_S)] = "S"
        self.has_case = has_case

    def __missing__(self, code: int) -> str:
        self[code] = self._class(chr(code))
        return self[code]

    def _class(self, character: str) -> str:
        category = unicodedata.category(character)
        if category[0] == "L":
            if not self.has_case or category == "Ll":
                return _LOWER
            return _UPPER if category in ("Lu", "Lt") else _UNCASED
        if category[0] == "M" and self.has_case:
            return _MARK
        if category[0] == "N":
            return _NUMBER
        return _SPACE if character in _SPACES else _OTHER


@functools.cache
def _cased() -> _Classes:
    return _Classes(has_case=True, folds=False)


def character_class(code: int) -> str:
    """Returns the class of a code point, where capitals and marks are classes of their own."""
    return _cased()[code]


def _splitter(
    pattern: str, *, has_case: bool = False, folds: bool = False
) -> Callable[[str], list[str]]:
    classes = _Classes(has_case=has_case, folds=folds)
    parts = re.compile(pattern, re.ASCII)

    def split(text: str) -> list[str]:
        found = parts.finditer(text.translate(classes))
        return [text[match.start() : match.end()] for match in found]

    return split


_gpt2 = _splitter(_GPT2)
_digits = _splitter(r"[0-9]|[^0-9]+")


def _smollm2(text: str) -> list[str]:
    return [part for run in _digits(text) for part in _gpt2(run)]


# The function that splits a text, by the model that it was published with first.
SPLITTERS: dict[str, Callable[[str], list[str]]] = {
    "gpt2": _gpt2,
    "llama3": _splitter(_LLAMA3, folds=True),
    "qwen2": _splitter(_LLAMA3.replace("{1,3}", ""), folds=True),
    "smollm2": _smollm2,
    "tekken": _splitter(_TEKKEN, has_case=True),
}
