"""The settings of a tokenizer."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.normalize import ACCENTS

KINDS = ("wordpiece", "bytes", "characters", "sentencepiece")
NORMALIZATIONS = ("nfkc", "identity")
# Kinds that keep case and accents unless told otherwise: what they write is meant to be read.
_VERBATIM = ("characters", "sentencepiece")
_MAX_CHARACTERS_PER_WORD = 100
# Of a character in UTF-8.
_MOST_BYTES = 4
# What files without these settings mean, which were written before there was a choice.
_ONCE = {"accents": "all", "normalization": "nfkc"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How text becomes tokens; saved beside every model.

    Attributes:
        kind: "wordpiece" (words cut greedily into pieces of a vocabulary), "bytes" (UTF-8),
            "characters", or "sentencepiece" (words cut into their most probable pieces).
        lowercase: whether case is folded; None for what the kind does by itself, which is not to
            fold for characters and sentencepiece, else to fold.
        strip_accents: whether accents are removed; None as above.
        accents: what accents are: "european", the marks that Latin, Greek and Cyrillic letters
            take, or "all" nonspacing marks, as for BERT.
        normalization: what sentencepiece does to a text first: "nfkc" (Unicode's compatibility
            composition, and single spaces between words), or "identity", which changes nothing.
        max_characters_per_word: a word with more characters than this is unknown (word pieces
            only), 100 by default.
        max_bytes_per_word: the limit in UTF-8 bytes instead, as files had it once.
    """

    kind: str = "wordpiece"
    lowercase: bool | None = None
    strip_accents: bool | None = None
    accents: str = "european"
    normalization: str = "nfkc"
    max_characters_per_word: int | None = None
    max_bytes_per_word: int | None = None

    def __post_init__(self):
        if self.max_characters_per_word is None and self.max_bytes_per_word is None:
            object.__setattr__(self, "max_characters_per_word", _MAX_CHARACTERS_PER_WORD)
        choices = {"kind": KINDS, "accents": ACCENTS, "normalization": NORMALIZATIONS}
        for name, known in choices.items():
            value = getattr(self, name)
            if value not in known:
                raise InputError(
                    f"Expected the tokenizer's {name} to be one of {', '.join(known)}, "
                    f"got {name}={value!r}."
                )
        for name in ("lowercase", "strip_accents"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.kind not in _VERBATIM)
            if not isinstance(getattr(self, name), bool):
                raise InputError(
                    f"Expected the tokenizer's {name} to be true or false, "
                    f"got {name}={getattr(self, name)!r}."
                )
        limits = ("max_characters_per_word", "max_bytes_per_word")
        given = {name: getattr(self, name) for name in limits if getattr(self, name) is not None}
        for name, value in given.items():
            if type(value) is not int or value < 1:
                raise InputError(
                    f"Expected the tokenizer's {name} to be a positive integer, "
                    f"got {name}={value!r}."
                )
        if len(given) > 1:
            raise InputError(
                "Expected the tokenizer's limit on words in characters or in bytes, got "
                f"{', '.join(f'{name}={value}' for name, value in given.items())}."
            )

    @property
    def keeps_lines(self) -> bool:
        """Whether ids hold all white space of a text, line breaks included."""
        return self.kind in ("characters", "bytes")

    @property
    def fold(self) -> dict[str, Any]:
        """What is done to each character, as arguments of `normalize.fold_text`."""
        return {
            "lowercase": self.lowercase, "strip_accents": self.strip_accents,
            "accents": self.accents,
        }  # fmt: skip

    @property
    def most_bytes_per_word(self) -> int:
        """UTF-8 bytes that no known word exceeds."""
        return self.max_bytes_per_word or _MOST_BYTES * self.max_characters_per_word

    def is_too_long(self, word: str) -> bool:
        """Whether word pieces take a word, folded already, as unknown for its length."""
        if self.max_characters_per_word is not None:
            return len(word) > self.max_characters_per_word
        return len(word.encode()) > self.max_bytes_per_word

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as a value that JSON can hold."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Makes the settings from what `to_json` returned, now or before a setting was added.

        Raises:
            InputError: for anything but an object of known names and fitting values.
        """
        if not isinstance(value, Mapping):
            raise InputError(f"Expected the tokenizer's settings to be an object, got {value!r}.")
        known = [field.name for field in dataclasses.fields(cls)]
        for name in value:
            if name not in known:
                raise InputError(
                    f"Expected the tokenizer's settings to be among {', '.join(known)}, "
                    f"got {name!r}."
                )
        return cls(**{**_ONCE, **value})
