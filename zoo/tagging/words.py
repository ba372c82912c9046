"""Words of raw text, with the places where they stand in it.

White space and control characters separate words. Each punctuation mark, ASCII symbol and CJK
ideograph is a word of its own, as in BERT's tokenizer, except for a `.` between two letters or
digits, and a `,` between two digits: `U.S`, `3.5` and `1,000` are one word each, `two-year` is
three. The rule reads the text as it is, before a tokenizer changes characters, so that places in it
stay right.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.normalizers.normalize import stands_alone

# The character of each class, and an expression over classes.
_LETTER, _DIGIT, _WHITE, _ALONE = "a", "0", " ", "!"
_WORD = re.compile(r"(?:[a0]|(?<=[a0])\.(?=[a0])|(?<=0),(?=0))+|[!.,]")


class Words(NamedTuple):
    """A text and its words.

    Attributes:
        text: the text.
        places: start and end of each word in the text, in characters, ascending.
    """

    text: str
    places: list[tuple[int, int]]

    @property
    def words(self) -> list[str]:
        """The words as they stand in the text."""
        return [self.text[start:end] for start, end in self.places]


class _Classes(dict):
    """Maps a code point to the character of its class, computed on first use."""

    def __missing__(self, code: int) -> str:
        self[code] = _class_of(chr(code))
        return self[code]


def _class_of(character: str) -> str:
    if is_between_words(character):
        return _WHITE
    if character in ".,":
        return character
    if stands_alone(character):
        return _ALONE
    return _DIGIT if is_digit(character) else _LETTER


def is_between_words(character: str) -> bool:
    """Whether a character separates words: white space and control characters."""
    return character.isspace() or unicodedata.category(character) in ("Cc", "Zs", "Zl", "Zp")


def is_digit(character: str) -> bool:
    """Whether a character is a decimal digit."""
    return unicodedata.category(character) == "Nd"


_CLASSES = _Classes()


def words_of(text: str) -> Words:
    """Returns a text with its words, see the module."""
    classes = text.translate(_CLASSES)
    return Words(text, [match.span() for match in _WORD.finditer(classes)])


def joined(words: Sequence[str]) -> Words:
    """Returns given words as a text, with a space between each two."""
    places, start = [], 0
    for word in words:
        places.append((start, start + len(word)))
        start += len(word) + 1
    return Words(" ".join(words), places)


def checked_words(rows: Iterable[Any]) -> list[Words]:
    """Returns a caller's rows, each a text or a list of words.

    Raises:
        InputError: if the rows are a single string, or a word is empty.
        TypeError: if a row is neither a string nor a list of strings.
    """
    if isinstance(rows, str):
        raise InputError("Expected a list of texts, got one string; put it in a list.")
    found = []
    for number, row in enumerate(rows, start=1):
        if isinstance(row, Words):
            found.append(row)
        elif isinstance(row, str):
            found.append(words_of(row))
        else:
            found.append(joined(listed_words(row, f"row {number}")))
    return found


def listed_words(value: Any, place: str) -> list[str]:
    """Returns a list of words.

    Raises:
        InputError: if a word is empty.
        TypeError: if the value is not a list of strings.
    """
    if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable):
        raise TypeError(f"{place}: expected a text or a list of words, got {value!r}.")
    words = list(value)
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"{place}: expected words to be strings, got {word!r}.")
        if not word:
            raise InputError(f"{place}: expected words of some characters, got an empty one.")
    return words
