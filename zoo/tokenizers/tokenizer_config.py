"""The settings of a tokenizer."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from keras_transformer.zoo.errors import InputError

KINDS = ("wordpiece", "bytes", "characters", "sentencepiece")
# Kinds that preserve case and accents by default, since they are used to generate text.
_VERBATIM = ("characters", "sentencepiece")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Tokenizer settings, saved with every model.

    Attributes:
        kind: "wordpiece" (words split greedily into pieces of a vocabulary), "bytes" (UTF-8),
            "characters", or "sentencepiece" (words split into their most probable pieces).
        lowercase: whether case is folded; None for the kind's default, false for characters and
            sentencepiece, else true.
        strip_accents: whether accents are removed; None as for `lowercase`.
        max_bytes_per_word: maximum number of UTF-8 bytes of a word; a longer one is unknown (word
            pieces only).
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
        """Whether ids preserve all white space of a text, line breaks included."""
        return self.kind in ("characters", "bytes")

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as a JSON-serializable object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Creates the settings from the result of `to_json`.

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
        return cls(**value)
