"""The settings of a tokenizer."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.normalize import ACCENTS

KINDS = ("wordpiece", "bytes", "characters", "sentencepiece")
NORMALIZATIONS = ("nfkc", "identity")
# Kinds that preserve case and accents by default, since they are used to generate text.
_VERBATIM = ("characters", "sentencepiece")
# Names of the shares of tokens and of rows that a tokenizer does not know.
UNKNOWN_TOKENS, ROWS_WITH_UNKNOWN = "unknown_tokens", "rows_with_unknown_tokens"
# TensorFlow Text counts its bytes in 32 bits.
_MOST_PER_WORD = 1 << 20
_MAX_CHARACTERS_PER_WORD = 100
# Maximum number of UTF-8 bytes of a character.
_MOST_BYTES = 4
# Settings of files that were written before these could be chosen.
_ONCE = {"accents": "all", "normalization": "nfkc"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Tokenizer settings, saved with every model.

    Attributes:
        kind: "wordpiece" (words split greedily into pieces of a vocabulary), "bytes" (UTF-8),
            "characters", or "sentencepiece" (words split into their most probable pieces).
        lowercase: whether case is folded; None for the kind's default, false for characters and
            sentencepiece, else true.
        strip_accents: whether accents are removed; None as for `lowercase`.
        accents: definition of accents: "european", the marks of Latin, Greek and Cyrillic letters,
            or "all" nonspacing marks, as in BERT.
        normalization: normalization before sentencepiece: "nfkc" (NFKC, and single spaces between
            words), or "identity" for none.
        max_characters_per_word: maximum number of characters of a word; a longer one is unknown
            (word pieces only). 100 by default.
        max_bytes_per_word: maximum number of UTF-8 bytes instead, as in older files.
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
            if value > _MOST_PER_WORD:
                raise InputError(
                    f"Expected the tokenizer's {name} to be at most {_MOST_PER_WORD}, got "
                    f"{name}={value}."
                )
        if len(given) > 1:
            raise InputError(
                "Expected the tokenizer's limit on words in characters or in bytes, got "
                f"{', '.join(f'{name}={value}' for name, value in given.items())}."
            )

    @property
    def keeps_lines(self) -> bool:
        """Whether ids preserve all white space of a text, line breaks included."""
        return self.kind in ("characters", "bytes")

    @property
    def has_unknown(self) -> bool:
        """Whether some texts have [UNK] among their ids."""
        return self.kind in ("wordpiece", "characters")

    @property
    def fold(self) -> dict[str, Any]:
        """Arguments of `normalize.fold_text`."""
        return {
            "lowercase": self.lowercase, "strip_accents": self.strip_accents,
            "accents": self.accents,
        }  # fmt: skip

    @property
    def most_bytes_per_word(self) -> int:
        """Maximum number of UTF-8 bytes of a known word."""
        return self.max_bytes_per_word or _MOST_BYTES * (self.max_characters_per_word or 0)

    def is_too_long(self, word: str) -> bool:
        """Whether a folded word is unknown to word pieces because of its length."""
        # One of the two is set, see `__post_init__`.
        if self.max_bytes_per_word is not None:
            return len(word.encode()) > self.max_bytes_per_word
        return len(word) > (self.max_characters_per_word or 0)

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as a JSON-serializable object."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Creates the settings from the result of `to_json`, of an earlier version too.

        Raises:
            InputError: if the value is not an object, a name is unknown, or a value is impossible.
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
