"""Special tokens: the pieces that no text is read as, their roles and templates."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.piece_list import CLS, MASK, PAD, SEP, UNK

FIRST, SECOND = "$A", "$B"
ROLES = ("pad", "unk", "begin", "end", "mask")
_OPTIONAL = ("unk", "mask")


class Frame(NamedTuple):
    """The special tokens around a text, or around the two texts of a pair: names, or their ids.

    Attributes:
        before: tokens before the first text.
        between: tokens between the two; empty for a single text.
        after: tokens after the last text.
    """

    before: list
    between: list
    after: list

    @property
    def size(self) -> int:
        """Number of special tokens."""
        return len(self.before) + len(self.between) + len(self.after)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """Names of a vocabulary's special tokens by role, and the templates of inputs.

    Attributes:
        pad: padding, always id 0.
        unk: what is not in the vocabulary; None if all texts are.
        begin: first token of a sequence that a model generates.
        end: last token of a sequence, and between sequences.
        mask: token in place of a hidden one; None if there is none.
        more: other special tokens, such as those of a chat.
        single: special tokens around `$A`, a text.
        pair: special tokens around `$A` and `$B`, two texts.
        segments: whether the second text of a pair and what follows it are segment 1.
    """

    pad: str = PAD
    unk: str | None = UNK
    begin: str = CLS
    end: str = SEP
    mask: str | None = MASK
    more: tuple[str, ...] = ()
    single: tuple[str, ...] = (CLS, FIRST, SEP)
    pair: tuple[str, ...] = (CLS, FIRST, SEP, SECOND, SEP)
    segments: bool = True

    def __post_init__(self):
        for role in ROLES:
            name = getattr(self, role)
            if not (isinstance(name, str) and name or name is None and role in _OPTIONAL):
                raise InputError(f"Expected the special token {role} to be text, got {name!r}.")
        for field, texts in (("more", ()), ("single", (FIRST,)), ("pair", (FIRST, SECOND))):
            value = getattr(self, field)
            if not isinstance(value, (list, tuple)) or not all(
                isinstance(name, str) and name for name in value
            ):
                raise InputError(
                    f"Expected the special tokens' {field} to be a list of texts, got {value!r}."
                )
            if tuple(name for name in value if name in (FIRST, SECOND)) != texts:
                wanted = " and then ".join(texts) or f"neither {FIRST} nor {SECOND}"
                raise InputError(
                    f"Expected the special tokens' {field} to hold {wanted}, got "
                    f"{' '.join(value)!r}."
                )
            object.__setattr__(self, field, tuple(value))
        if not isinstance(self.segments, bool):
            raise InputError(
                "Expected the special tokens' segments to be true or false, got "
                f"{self.segments!r}."
            )
        for name in (*self.single, *self.pair):
            if name not in (FIRST, SECOND, *self.names):
                raise InputError(
                    f"Expected templates of the special tokens {', '.join(self.names)}, "
                    f"got {name!r}."
                )

    @property
    def names(self) -> tuple[str, ...]:
        """All special tokens, each once."""
        roles = (getattr(self, role) for role in ROLES)
        return tuple(dict.fromkeys(name for name in (*roles, *self.more) if name is not None))

    @property
    def single_frame(self) -> Frame:
        """The tokens around a text."""
        place = self.single.index(FIRST)
        return Frame([*self.single[:place]], [], [*self.single[place + 1 :]])

    @property
    def pair_frame(self) -> Frame:
        """The tokens around the texts of a pair."""
        first, second = self.pair.index(FIRST), self.pair.index(SECOND)
        parts = self.pair[:first], self.pair[first + 1 : second], self.pair[second + 1 :]
        return Frame(*map(list, parts))

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as a JSON-serializable object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Creates the settings from the result of `to_json`.

        Raises:
            InputError: if the value is not such an object.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(value, Mapping) or any(name not in known for name in value):
            raise InputError(
                f"Expected special tokens to be an object of {', '.join(known)}, got {value!r}."
            )
        return cls(**value)


# The special tokens of vocabularies that are learned here, which are BERT's.
DEFAULT_SPECIAL = SpecialTokens()
