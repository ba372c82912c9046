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
# The blocks of marks that Latin, Greek and Cyrillic letters take, and the selectors between a
# character's pictures (emoji or text), which tell no words apart. Marks of a script of its own are
# not among them (vowel signs, tones, points, dakuten), nor are those of symbols.
_EUROPEAN = (
    (0x0300, 0x036F),
    (0x0483, 0x0487),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x2DE0, 0x2DFF),
    (0xA66F, 0xA69F),
    (0xFE00, 0xFE0F),
    (0xFE20, 0xFE2F),
    (0x1E08F, 0x1E08F),
)
# The stroke of `≠`, which is `=` with this.
_NEGATION = 0x0338
ACCENTS = ("european", "all")


class _FoldTable(dict):
    """Maps a code point to its folded text, computed on first use."""

    def __init__(self, lowercase: bool, strip_accents: bool, accents: str):
        super().__init__()
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.is_accent = is_mark if accents == "all" else is_european_accent

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
            character = "".join(c for c in decomposed if not self.is_accent(c))
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


def is_mark(character: str) -> bool:
    """Says whether a character is a nonspacing mark, of whatever script."""
    return unicodedata.category(character) == "Mn"


def is_european_accent(character: str) -> bool:
    """Says whether a character is a mark that Latin, Greek and Cyrillic letters take."""
    code = ord(character)
    among = code != _NEGATION and any(first <= code <= last for first, last in _EUROPEAN)
    return among and is_mark(character)


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
def _table(
    kind: type[_FoldTable], lowercase: bool, strip_accents: bool, accents: str
) -> _FoldTable:
    return kind(lowercase, strip_accents, accents)


def fold_character(
    code: int, *, lowercase: bool, strip_accents: bool, accents: str = "european"
) -> str:
    """Returns the result of `fold_text` for the character of a code point."""
    return _table(_FoldTable, lowercase, strip_accents, accents).fold(code)


def fold_text(
    text: str, *, lowercase: bool, strip_accents: bool, accents: str = "european"
) -> str:
    """Folds case and removes accents, but changes nothing else.

    Each character is processed by itself: `casefold` if `lowercase`, then NFD without accents if
    `strip_accents`. A lone surrogate becomes U+FFFD, so that the result always has a UTF-8 form.

    Args:
        text: any string.
        lowercase: whether to fold case (`ß` becomes `ss`).
        strip_accents: whether to remove accents.
        accents: what accents are: `european`, the marks that Latin, Greek and Cyrillic letters
            take, or `all` nonspacing marks (Mn), as for BERT: the vowel signs of Devanagari, the
            tones of Thai and the dakuten of Japanese too.
    """
    return text.translate(_table(_FoldTable, lowercase, strip_accents, accents))


def split_words(
    text: str, *, lowercase: bool, strip_accents: bool, accents: str = "european"
) -> list[str]:
    """Splits text into words like BERT's basic tokenizer.

    Text is folded as in `fold_text`; control and format characters become spaces; white space
    separates; each punctuation character and each CJK ideograph is a separate word.

    Args:
        text: any string.
        lowercase: whether to fold case.
        strip_accents: whether to remove accents.
        accents: see `fold_text`.

    Returns:
        The words, none of them empty or with white space, all with a UTF-8 form.
    """
    return text.translate(_table(_SplitTable, lowercase, strip_accents, accents)).split()
