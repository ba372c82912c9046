"""Text normalization and word splitting, identical in training and on the device."""

import functools
import unicodedata

# The blocks of ideographs that BERT's tokenizer isolates; kana and Hangul are not among them.
_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
_REPLACEMENT = "\ufffd"


class _FoldTable(dict):
    """Maps a code point to its folded text, computed on first use."""

    def __init__(self, lowercase: bool, strip_accents: bool):
        super().__init__()
        self.lowercase = lowercase
        self.strip_accents = strip_accents

    def fold(self, code: int) -> str:
        """Returns the character case-folded and without accents, depending on the settings."""
        character = chr(code)
        if unicodedata.category(character) == "Cs":
            # A lone surrogate has no UTF-8 form, and no string tensor can contain it.
            return _REPLACEMENT
        if self.lowercase:
            character = character.casefold()
        if self.strip_accents:
            decomposed = unicodedata.normalize("NFD", character)
            character = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
        return character

    def __missing__(self, code: int) -> str:
        self[code] = self.fold(code)
        return self[code]


class _SplitTable(_FoldTable):
    """Maps a code point to its folded text, with spaces at word boundaries."""

    def __missing__(self, code: int) -> str:
        self[code] = "".join(_space(character) for character in self.fold(code))
        return self[code]


def _space(character: str) -> str:
    if is_white(character):
        return " "
    return f" {character} " if stands_alone(character) else character


def is_white(character: str) -> bool:
    """Whether a character separates words: white space, or a control or format character."""
    return unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp")


def stands_alone(character: str) -> bool:
    """Whether a character is always a separate word: punctuation or an ideograph.

    Punctuation is Unicode's P categories and every ASCII symbol, `$` and `^` included, as in
    BERT's tokenizer.
    """
    code = ord(character)
    if code < 128:
        return 32 < code and not character.isalnum() and code != 127
    if unicodedata.category(character).startswith("P"):
        return True
    return any(first <= code <= last for first, last in _IDEOGRAPHS)


@functools.cache
def _table(kind: type[_FoldTable], lowercase: bool, strip_accents: bool) -> _FoldTable:
    return kind(lowercase, strip_accents)


def fold_character(code: int, *, lowercase: bool, strip_accents: bool) -> str:
    """Returns the result of `fold_text` for the character of a code point."""
    return _table(_FoldTable, lowercase, strip_accents).fold(code)


def fold_text(text: str, *, lowercase: bool, strip_accents: bool) -> str:
    """Folds case and removes accents, but changes nothing else.

    Each character is processed by itself: `casefold` if `lowercase`, then NFD without nonspacing
    marks (Mn) if `strip_accents`. A lone surrogate becomes U+FFFD, so that the result always has
    a UTF-8 form.

    Args:
        text: any string.
        lowercase: whether to fold case (`ß` becomes `ss`).
        strip_accents: whether to remove accents.
    """
    return text.translate(_table(_FoldTable, lowercase, strip_accents))


def split_words(text: str, *, lowercase: bool, strip_accents: bool) -> list[str]:
    """Splits text into words like BERT's basic tokenizer.

    Text is folded as in `fold_text`; control and format characters become spaces; white space
    separates; each punctuation character and each CJK ideograph is a separate word.

    Args:
        text: any string.
        lowercase: whether to fold case.
        strip_accents: whether to remove accents.

    Returns:
        The words, none of them empty or with white space, all with a UTF-8 form.
    """
    return text.translate(_table(_SplitTable, lowercase, strip_accents)).split()
