"""Unicode tables of this Python, for a page that must fold and split text identically.

A browser has another Unicode version, so that it classifies some punctuation and accents
differently, and it has no case folding.
"""

import functools
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

from keras_transformer.zoo.tokenizers.normalizers.normalize import (
    is_european_accent,
    is_mark,
    is_white,
    stands_alone,
)

# Planes 4 to 13 are unassigned: their code points have the properties of plane 3's last one.
_CODES = (*range(0x40000), *range(0xE0000, sys.maxunicode + 1))


@functools.cache
def character_table() -> dict[str, Any]:
    """Returns the table as a JSON-serializable value.

    Returns:
        `unicode`, the version; `casefold`, the characters that case folding changes and their
        results; `marks` (Mn), `accents` (the marks of Latin, Greek and Cyrillic letters), `spaces`
        (word separators), `alone` (characters that are words by themselves) and `unassigned`, each
        as code points [first, past its last, ...].
    """
    characters = [chr(code) for code in _CODES]
    categories = [unicodedata.category(character) for character in characters]
    folded = {
        character: character.casefold()
        for character in characters
        if character.casefold() != character
    }
    return {
        "unicode": unicodedata.unidata_version,
        "casefold": folded,
        "marks": _bounds(map(is_mark, characters)),
        "accents": _bounds(map(is_european_accent, characters)),
        "spaces": _bounds(map(is_white, characters)),
        "alone": _bounds(map(stands_alone, characters)),
        "unassigned": _bounds(category == "Cn" for category in categories),
    }


def _bounds(holds: Iterable[bool]) -> list[int]:
    """Returns the code points at which a property begins or ends."""
    bounds, before = [], False
    for code, now in zip(_CODES, holds, strict=True):
        if now != before:
            bounds.append(code)
            before = now
    return bounds
