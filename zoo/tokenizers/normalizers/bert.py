"""BERT's own normalization and word splitting, for vocabularies that were published with it."""

import functools
import unicodedata
from collections.abc import Callable

from keras_transformer.zoo.tokenizers.normalizers.normalize import split_words, stands_alone

# Ideographs that the `tokenizers` library does not isolate: its block E begins at U+2B920.
_NOT_ISOLATED = range(0x2B820, 0x2B920)
_WHITE = "\t\n\r"
_DELETED = ("Cc", "Cf", "Co", "Cs")


class _Table(dict):
    """Maps a code point to its text with spaces at word boundaries, computed on first use."""

    def __init__(self, lowercase: bool, strip_accents: bool):
        super().__init__()
        self.lowercase = lowercase
        self.strip_accents = strip_accents

    def __missing__(self, code: int) -> str:
        self[code] = "".join(map(self._spaced, self.fold(code)))
        return self[code]

    def fold(self, code: int) -> str:
        """Returns the normalized character without spaces around it; "" for a deleted one."""
        character = chr(code)
        category = unicodedata.category(character)
        if character in _WHITE or category in ("Zs", "Zl", "Zp"):
            return " "
        if category in _DELETED or character == "\ufffd":
            return ""
        if self.strip_accents:
            decomposed = unicodedata.normalize("NFD", character)
            character = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
        # Each character by itself: the sigma at a word's end is like any other.
        return "".join(c.lower() for c in character) if self.lowercase else character

    def _spaced(self, character: str) -> str:
        return f" {character} " if is_isolated(character) else character


def is_isolated(character: str) -> bool:
    """Whether a character is always a word of its own: punctuation or an ideograph."""
    return stands_alone(character) and ord(character) not in _NOT_ISOLATED


@functools.cache
def _table(lowercase: bool, strip_accents: bool) -> _Table:
    return _Table(lowercase, strip_accents)


def fold_bert_character(code: int, *, lowercase: bool, strip_accents: bool) -> str:
    """Returns BERT's normal form of a character, without the spaces around an ideograph."""
    return _table(lowercase, strip_accents).fold(code)


def split_bert_words(text: str, *, lowercase: bool, strip_accents: bool) -> list[str]:
    """Splits text into words as BERT's `BasicTokenizer` of the `tokenizers` library.

    Control, format and private-use characters are deleted, except for tab, line feed and carriage
    return; accents are all nonspacing marks; case is lowered character by character (`ß` stays);
    white space separates; each punctuation character and each ideograph is a separate word.

    Args:
        text: any string; a lone surrogate is deleted.
        lowercase: whether to lower case.
        strip_accents: whether to remove accents.

    Returns:
        The words, none of them empty.
    """
    return text.translate(_table(lowercase, strip_accents)).split()


def word_splitter(
    normalization: str, *, lowercase: bool, strip_accents: bool, accents: str = "european"
) -> Callable[[str], list[str]]:
    """Returns the function that splits a text into words to be matched with word pieces.

    Args:
        normalization: `bert` for `split_bert_words`; others for `normalize.split_words`.
        lowercase, strip_accents, accents: arguments of `normalize.fold_text`.
    """
    if normalization == "bert":
        return functools.partial(
            split_bert_words, lowercase=lowercase, strip_accents=strip_accents
        )
    return functools.partial(
        split_words, lowercase=lowercase, strip_accents=strip_accents, accents=accents
    )
