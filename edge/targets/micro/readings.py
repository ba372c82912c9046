"""What a tokenizer of word pieces reads in the place of each character, in runs for C code.

Its normalizations change each character by itself, and a word that has a character of no piece is
unknown as a whole. So of all Unicode only that has to be told apart of which pieces are made, what
separates words, what is a word by itself, and what vanishes. Imports tokenizers only.
"""

import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Set
from functools import partial
from typing import NamedTuple

from keras_transformer.zoo.tokenizers.normalizers.bert import fold_bert_character, is_isolated
from keras_transformer.zoo.tokenizers.normalizers.normalize import (
    fold_character,
    is_white,
    stands_alone,
)
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

# Stands for characters of which no piece has one; U+0000 is white or deleted everywhere.
UNKNOWN = "\0"
SPACE = " "
_PLANE = 1 << 16
_SYLLABLES = range(0xAC00, 0xD7A4)
_SURROGATES = range(0xD800, 0xE000)
# Blocks without letters: behind the last ideographs that are told apart, all code points of one of
# these categories side by side are folded in the same way.
_LAST_IDEOGRAPH = 0x2FA1F
_UNIFORM = ("Cn", "Co")


class Runs(NamedTuple):
    """What is read in the place of characters.

    Attributes:
        starts: first code point of each run; each plane begins one.
        readings: for each run the number of its reading: a place in `FIXED`, then in `deltas`, then
            in `texts`.
        deltas: distances to the character that is read instead.
        texts: what is read instead, with a space where a word ends, and `UNKNOWN`.
    """

    starts: list[int]
    readings: list[int]
    deltas: list[int]
    texts: list[str]


def _syllable(code: int) -> str | None:
    return unicodedata.normalize("NFD", chr(code)) if code in _SYLLABLES else None


# Readings in the order of the enumeration in `c/tokenizer.c`.
FIXED: dict[str, Callable[[int], str | None]] = {
    "ITSELF": chr,
    "ALONE": lambda code: f" {chr(code)} ",
    "SPACE": lambda code: SPACE,
    "NOTHING": lambda code: "",
    "UNKNOWN": lambda code: UNKNOWN,
    "UNKNOWN_ALONE": lambda code: f" {UNKNOWN} ",
    "SYLLABLE": _syllable,
}


def folded(config: TokenizerConfig, characters: Set[str]) -> dict[int, str]:
    """Returns by code point what becomes of a character, with spaces at the ends of words.

    Of unassigned and private code points side by side that no piece has, only the first one.

    Args:
        config: settings of the tokenizer.
        characters: those of the vocabulary.
    """
    if config.normalization == "bert":
        fold = partial(
            fold_bert_character, lowercase=config.lowercase, strip_accents=config.strip_accents
        )
        separates: Callable[[str], bool] = SPACE.__eq__
        is_alone = is_isolated
    else:
        fold = partial(fold_character, **config.fold)
        separates, is_alone = is_white, stands_alone

    def spaced(character: str) -> str:
        if separates(character):
            return SPACE
        return f" {character} " if is_alone(character) else character

    return {code: "".join(map(spaced, fold(code))) for code in _codes(characters)}


def _codes(characters: Set[str]) -> Iterator[int]:
    """Code points without surrogates, which no UTF-8 has, and those that `folded` leaves out."""
    before = ""
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        is_next = category in _UNIFORM and category == before and code % _PLANE
        is_next = is_next and code - 1 > _LAST_IDEOGRAPH and chr(code) not in characters
        before = category
        if code not in _SURROGATES and not is_next:
            yield code


def runs_of(texts: dict[int, str], known: Set[str]) -> Runs:
    """Returns the readings by which words are those of the folded characters.

    Args:
        texts: result of `folded`.
        known: characters of pieces. Those of no piece are told apart only from those.
    """
    found = list(_grouped(texts, known))
    # Of several readings that do for a run the one that does for most is taken.
    uses = Counter(reading for _, readings in found for reading in readings)
    order = list(FIXED)
    chosen = [
        (start, max(readings, key=lambda one: (one in order, uses[one], str(one))))
        for start, readings in found
    ]
    used = {reading for _, reading in chosen}
    deltas = sorted(one for one in used if isinstance(one, int))
    words = sorted(one.removeprefix("=") for one in used if isinstance(one, str) and one[:1] == "=")
    numbers = {one: place for place, one in enumerate((*order, *deltas, *(f"={w}" for w in words)))}
    return Runs(
        [start for start, _ in chosen], [numbers[one] for _, one in chosen], deltas, words
    )


def _grouped(texts: dict[int, str], known: Set[str]) -> Iterator[tuple[int, list[str | int]]]:
    """Runs by their first code point, as long as one reading does, with all readings that do.

    A reading is a name of `FIXED`, a distance, or `=` and a text.
    """
    start, readings = 0, _readings(0, texts[0], known)
    for code, text in texts.items():
        wanted = _reduced(text, known)
        left = [one for one in readings if _read(one, code, known) == wanted]
        if not left or code % _PLANE == 0:
            if code:
                yield start, readings
            start, left = code, _readings(code, text, known)
        readings = left
    yield start, readings


def _readings(code: int, text: str, known: Set[str]) -> list[str | int]:
    """All readings by which a character is read as a text."""
    wanted = _reduced(text, known)
    names: list[str | int] = [*FIXED, f"={wanted}"]
    if len(wanted) == 1 and wanted not in (SPACE, UNKNOWN):
        names.append(ord(wanted) - code)
    return [one for one in names if _read(one, code, known) == wanted]


def _read(reading: str | int, code: int, known: Set[str]) -> str | None:
    """What a reading gives for a character; None if it gives nothing."""
    if isinstance(reading, int):
        other = code + reading
        is_one = 0 <= other <= sys.maxunicode and other not in _SURROGATES
        # Of code points that `folded` leaves out the one before them does not tell it.
        is_one = is_one and unicodedata.category(chr(code)) not in _UNIFORM
        return _reduced(chr(other), known) if is_one else None
    if reading[:1] == "=":
        return reading[1:]
    text = FIXED[reading](code)
    return None if text is None else _reduced(text, known)


def _reduced(text: str, known: Set[str]) -> str:
    """A folded text with single spaces, and one sign for a part of a word that cannot be known."""
    if len(text) == 1:
        return text if text in known or text == SPACE else UNKNOWN
    parts = [part if known.issuperset(part) else UNKNOWN for part in text.split(SPACE)]
    joined = SPACE.join(parts)
    while "  " in joined:
        joined = joined.replace("  ", SPACE)
    return joined
