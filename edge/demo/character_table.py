"""Unicode tables of this Python, for a page that must fold and split text identically.

A browser has another Unicode version, so that it classifies some punctuation and accents
differently, and it has no case folding.
"""

import functools
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

from keras_transformer.zoo.tagging.words import is_between_words, is_digit
from keras_transformer.zoo.tokenizers.normalizers.bert import fold_bert_character, is_isolated
from keras_transformer.zoo.tokenizers.normalizers.normalize import (
    is_european_accent,
    is_mark,
    is_white,
    stands_alone,
)
from keras_transformer.zoo.tokenizers.normalizers.splitters import character_class

# Planes 4 to 13 are unassigned: their code points have the properties of plane 3's last one.
_CODES = (*range(0x40000), *range(0xE0000, sys.maxunicode + 1))


@functools.cache
def character_table() -> dict[str, Any]:
    """Returns the table as a JSON-serializable value.

    Returns:
        `unicode`, the version; `casefold`, the characters that case folding changes and their
        results; `marks` (Mn), `accents` (the marks of Latin, Greek and Cyrillic letters), `spaces`
        (word separators), `alone` (characters that are words by themselves), `unassigned`, and
        `between` and `digits` of `tagging.words`, each as code points [first, past its last, ...];
        for BERT's normalization `lowercase`, as `casefold`, and `erased`, `blank` (white space) and
        `isolated`, as `alone`; and `classes`, the code points outside ASCII of each class of
        `splitters`.
    """
    characters = [chr(code) for code in _CODES]
    categories = [unicodedata.category(character) for character in characters]
    folded = {
        character: character.casefold()
        for character in characters
        if character.casefold() != character
    }
    lowered = {one: one.lower() for one in characters if one.lower() != one}
    normal = [fold_bert_character(code, lowercase=False, strip_accents=False) for code in _CODES]
    classes = [character_class(code) if code > 127 else "" for code in _CODES]
    return {
        "unicode": unicodedata.unidata_version,
        "casefold": folded,
        "marks": _bounds(map(is_mark, characters)),
        "accents": _bounds(map(is_european_accent, characters)),
        "spaces": _bounds(map(is_white, characters)),
        "alone": _bounds(map(stands_alone, characters)),
        "between": _bounds(map(is_between_words, characters)),
        "digits": _bounds(map(is_digit, characters)),
        "unassigned": _bounds(category == "Cn" for category in categories),
        "lowercase": lowered,
        "erased": _bounds(one == "" for one in normal),
        "blank": _bounds(one == " " for one in normal),
        "isolated": _bounds(map(is_isolated, characters)),
        "classes": {
            name: _bounds(one == name for one in classes) for name in sorted({*classes} - {"", "!"})
        },
    }


def _bounds(holds: Iterable[bool]) -> list[int]:
    """Returns the code points at which a property begins or ends."""
    bounds, before = [], False
    for code, now in zip(_CODES, holds, strict=True):
        if now != before:
            bounds.append(code)
            before = now
    return bounds
