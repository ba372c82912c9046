"""The settings of a tokenizer."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from keras_transformer.zoo.errors import InputError

KINDS = ("wordpiece", "bytes", "characters", "sentencepiece")
# Kinds that keep case and accents unless told otherwise: what they write is meant to be read.
_VERBATIM = ("characters", "sentencepiece")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How text becomes tokens; saved beside every model.

    Attributes:
        kind: "wordpiece" (words cut greedily into pieces of a vocabulary), "bytes" (UTF-8),
            "characters", or "sentencepiece" (words cut into their most probable pieces).
        lowercase: whether case is folded; None for what the kind does by itself, which is not to
            fold for characters and sentencepiece, else to fold.
        strip_accents: whether accents are removed; None as above.
        max_bytes_per_word: a word with more UTF-8 bytes than this is unknown (word pieces only).
    """

    kind: str = "wordpiece"
    lowercase: bool | None = None
    strip_accents: bool | None = None
    max_bytes_per_word: int = 100

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(
                f"Expected the tokenizer's kind to be one of {', '.join(KINDS)}, "
                f"got kind={self.kind!r}."
            )
        for name in ("lowercase", "strip_accents"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.kind not in _VERBATIM)
            if not isinstance(getattr(self, name), bool):
                raise InputError(
                    f"Expected the tokenizer's {name} to be true or false, "
                    f"got {name}={getattr(self, name)!r}."
                )
        if type(self.max_bytes_per_word) is not int or self.max_bytes_per_word < 1:
            raise InputError(
                "Expected the tokenizer's max_bytes_per_word to be a positive integer, "
                f"got max_bytes_per_word={self.max_bytes_per_word!r}."
            )

    @property
    def keeps_lines(self) -> bool:
        """Whether ids hold all white space of a text, line breaks included."""
        return self.kind in ("characters", "bytes")

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as a value that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Makes the settings from what `to_json` returned.

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
        return cls(**value)
