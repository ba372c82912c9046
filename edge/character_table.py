"""What this Python knows of characters, for a page that has to fold and split text as it does.

A browser's Unicode is of another version, so that it takes other characters for punctuation or for
accents, and it has no case folding.
"""

import functools
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

from keras_transformer.zoo.text import stands_alone

# Categories whose characters separate words.
_SPACES = ("Cc", "Cf", "Zs", "Zl", "Zp")


@functools.cache
def character_table() -> dict[str, Any]:
    """Returns the table as a value that JSON can hold.

    Returns:
        `unicode`, the version; `casefold`, the characters that case folding changes and what to;
        `marks` (Mn), `spaces` (what separates words), `alone` (what is a word by itself) and
        `unassigned` (what has no meaning yet), each as code points [first, past its last, ...].
    """
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    categories = [unicodedata.category(character) for character in characters]
    folded = {
        character: character.casefold()
        for character in characters
        if character.casefold() != character
    }
    return {
        "unicode": unicodedata.unidata_version,
        "casefold": folded,
        "marks": _bounds(lambda code: categories[code] == "Mn"),
        "spaces": _bounds(lambda code: categories[code] in _SPACES),
        "alone": _bounds(lambda code: stands_alone(characters[code])),
        "unassigned": _bounds(lambda code: categories[code] == "Cn"),
    }


def _bounds(holds: Callable[[int], bool]) -> list[int]:
    """Returns the code points at which a property begins or ceases to hold."""
    bounds, before = [], False
    for code in range(sys.maxunicode + 1):
        if holds(code) != before:
            bounds.append(code)
            before = not before
    return bounds
