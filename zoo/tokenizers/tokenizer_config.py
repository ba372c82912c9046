"""The settings of a tokenizer."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.normalizers.normalize import ACCENTS
from keras_transformer.zoo.tokenizers.normalizers.splitters import SPLITTERS
from keras_transformer.zoo.tokenizers.special import DEFAULT_SPECIAL, SpecialTokens

# Kinds whose vocabularies are learned here.
KINDS = ("wordpiece", "bytes", "characters", "sentencepiece")
# Kinds that only published vocabularies have.
PUBLISHED_KINDS = ("bpe", "sentencepiece_bpe")
# Normalizations by kind, the default first.
_NORMALIZATIONS = {
    "wordpiece": ("nfkc", "identity", "bert"),
    "bytes": ("nfkc", "identity"),
    "characters": ("nfkc", "identity"),
    "sentencepiece": ("nfkc", "identity", "charsmap"),
    "bpe": ("identity", "nfc"),
    "sentencepiece_bpe": ("identity", "charsmap"),
}
# Kinds that preserve case and accents by default, since they are used to generate text.
_VERBATIM = ("characters", "sentencepiece", "bpe", "sentencepiece_bpe")
# Settings of some kinds only, with their defaults.
_BY_KIND: dict[str, dict[str, Any]] = {
    "splitter": {"bpe": "gpt2", "sentencepiece": "sentencepiece"},
    "prefix_space": {"sentencepiece": True, "bpe": False, "sentencepiece_bpe": True},
    "single_spaces": {"sentencepiece": True, "sentencepiece_bpe": False},
    "byte_fallback": {"sentencepiece": True, "sentencepiece_bpe": True},
    "whole_words": {"bpe": False},
    "added": {"bpe": (), "sentencepiece_bpe": ()},
    "unknown_pieces": {"sentencepiece": 0},
}
# How a unigram model's texts are split: by SentencePiece, or as the `tokenizers` library does at
# spaces, or at those that do not end the text, or at all white space.
_UNIGRAM_SPLITTERS = ("sentencepiece", "metaspace", "metaspace_strip", "whitespace")
# Kinds whose special tokens have names of their own.
_NAMED = ("wordpiece", "sentencepiece", "bpe", "sentencepiece_bpe")
# Names of the shares of tokens and of rows that a tokenizer does not know.
UNKNOWN_TOKENS, ROWS_WITH_UNKNOWN = "unknown_tokens", "rows_with_unknown_tokens"
# TensorFlow Text counts its bytes in 32 bits.
_MOST_PER_WORD = 1 << 20
_MAX_CHARACTERS_PER_WORD = 100
# Maximum number of UTF-8 bytes of a character.
_MOST_BYTES = 4
# Settings of files that were written before these could be chosen.
_ONCE = {"accents": "all", "normalization": "nfkc"}
_MOST_UNKNOWN_PIECES = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Tokenizer settings, saved with every model.

    Attributes:
        kind: "wordpiece" (words split greedily into pieces of a vocabulary), "bytes" (UTF-8),
            "characters", "sentencepiece" (words split into their most probable pieces), "bpe"
            (UTF-8 bytes, merged in the order of a table), or "sentencepiece_bpe" (characters,
            merged into pieces of a vocabulary).
        lowercase: whether case is folded; None for the kind's default, false for characters and
            sentencepiece, else true.
        strip_accents: whether accents are removed; None as for `lowercase`.
        accents: definition of accents: "european", the marks of Latin, Greek and Cyrillic letters,
            or "all" nonspacing marks, as in BERT; None for the default, "all" with the
            normalization "bert", else "european".
        normalization: normalization of a text; None for the kind's default. Of sentencepiece
            "nfkc" (NFKC, and single spaces between words), "identity" for none, or "charsmap" for
            the vocabulary's own table; of wordpiece "bert" for BERT's own, any other for ours; of
            bpe "identity" or "nfc"; of sentencepiece_bpe "identity" or "charsmap".
        max_characters_per_word: maximum number of characters of a word; a longer one is unknown
            (word pieces only). 100 by default.
        max_bytes_per_word: maximum number of UTF-8 bytes instead, as in older files.
        special: special tokens and templates.
        splitter: name of the function that splits a text before bpe, see `splitters`; of
            sentencepiece "sentencepiece", or what the `tokenizers` library splits at, with its
            sums and its reading of the table: "metaspace" for spaces, "metaspace_strip" for those
            that do not end the text, "whitespace" for all white space.
        prefix_space: whether a space precedes each text: true by default for sentencepiece and
            sentencepiece_bpe, false for bpe, which adds it where the text does not begin with one.
        single_spaces: whether spaces are joined, and removed at a text's ends: by default true for
            sentencepiece and false for sentencepiece_bpe. With "metaspace" those at the ends are
            not removed.
        byte_fallback: whether a character that is not in the vocabulary becomes its bytes (the
            default), rather than one unknown token for a run of them.
        whole_words: whether bpe merges nothing of a part that is a piece.
        added: pieces of bpe and sentencepiece_bpe that are found in a text before it is split.
        unknown_pieces: number of pieces at the end of a sentencepiece vocabulary that words are
            split into, but that have no ids: they are unknown.
    """

    kind: str = "wordpiece"
    lowercase: bool | None = None
    strip_accents: bool | None = None
    accents: str | None = None
    normalization: str | None = None
    max_characters_per_word: int | None = None
    max_bytes_per_word: int | None = None
    special: SpecialTokens = DEFAULT_SPECIAL
    splitter: str | None = None
    prefix_space: bool | None = None
    single_spaces: bool | None = None
    byte_fallback: bool | None = None
    whole_words: bool | None = None
    added: tuple[str, ...] | None = None
    unknown_pieces: int | None = None

    def __post_init__(self):
        if self.max_characters_per_word is None and self.max_bytes_per_word is None:
            object.__setattr__(self, "max_characters_per_word", _MAX_CHARACTERS_PER_WORD)
        self._choose("kind", KINDS + PUBLISHED_KINDS)
        if self.normalization is None:
            object.__setattr__(self, "normalization", _NORMALIZATIONS[self.kind][0])
        self._choose("normalization", _NORMALIZATIONS[self.kind])
        is_bert = self.normalization == "bert"
        if self.accents is None:
            object.__setattr__(self, "accents", "all" if is_bert else "european")
        self._choose("accents", ("all",) if is_bert else ACCENTS)
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

        self._check_by_kind()

    def _choose(self, name: str, known: Sequence[str]) -> None:
        """Raises InputError if a setting is not one of those that are known."""
        value = getattr(self, name)
        if value not in known:
            raise InputError(
                f"Expected the tokenizer's {name} to be one of {', '.join(known)}, "
                f"got {name}={value!r}."
            )

    def _check_by_kind(self) -> None:
        """Sets the defaults of settings that only some kinds have, and checks them."""
        if not isinstance(self.special, SpecialTokens):
            raise InputError(f"Expected special tokens, got special={self.special!r}.")
        if self.kind not in _NAMED and self.special != DEFAULT_SPECIAL:
            raise InputError(
                f"Expected the special tokens {', '.join(DEFAULT_SPECIAL.names)} of a tokenizer "
                f"of the kind {self.kind}, got {', '.join(self.special.names)}."
            )
        for name, defaults in _BY_KIND.items():
            value = getattr(self, name)
            if self.kind not in defaults:
                if value is not None:
                    raise InputError(
                        f"Expected no {name} for a tokenizer of the kind {self.kind}, "
                        f"got {name}={value!r}."
                    )
                continue
            default = defaults[self.kind]
            if name == "added" and isinstance(value, list):
                value = tuple(value)
            if value is None:
                value = default
            if type(value) is not type(default):
                wanted = {"bool": "true or false", "str": "text", "int": "an integer"}
                raise InputError(
                    f"Expected the tokenizer's {name} to be "
                    f"{wanted.get(type(default).__name__, 'a list of texts')}, "
                    f"got {name}={value!r}."
                )
            object.__setattr__(self, name, value)
        if self.kind in PUBLISHED_KINDS or self.normalization == "charsmap":
            for name in ("lowercase", "strip_accents"):
                if getattr(self, name):
                    raise InputError(
                        f"Expected the tokenizer's {name} to be false for the kind {self.kind} "
                        f"with the normalization {self.normalization}, got {name}=True."
                    )
        if self.splitter is not None:
            is_bytes = self.kind == "bpe"
            self._choose("splitter", tuple(SPLITTERS) if is_bytes else _UNIGRAM_SPLITTERS)
        if any(not isinstance(piece, str) or not piece for piece in self.added or ()):
            raise InputError(
                f"Expected the tokenizer's added to be a list of texts, got added={self.added!r}."
            )
        if not 0 <= (self.unknown_pieces or 0) <= _MOST_UNKNOWN_PIECES:
            raise InputError(
                f"Expected the tokenizer's unknown_pieces to be from 0 to {_MOST_UNKNOWN_PIECES}, "
                f"got unknown_pieces={self.unknown_pieces}."
            )
        needs_unk = self.has_unknown or self.unknown_pieces
        if needs_unk and self.special.unk is None:
            raise InputError(
                f"Expected a special token unk for a tokenizer of the kind {self.kind} that does "
                "not know all texts, got none."
            )
        if self.kind == "sentencepiece":
            self._check_spaces()

    def _check_spaces(self) -> None:
        """Raises InputError for spaces that a unigram model cannot have."""
        if not self.single_spaces and not self.is_metaspace:
            raise InputError(
                f"Expected the tokenizer's single_spaces to be true with the splitter "
                f"{self.splitter}, got single_spaces=False."
            )
        if not self.prefix_space and (not self.has_charsmap or self.is_metaspace):
            raise InputError(
                "Expected the tokenizer's prefix_space to be true with the normalization "
                f"{self.normalization} and the splitter {self.splitter}, got prefix_space=False."
            )
        if self.is_metaspace and not self.has_charsmap:
            raise InputError(
                f"Expected the normalization charsmap with the splitter {self.splitter}, got "
                f"normalization={self.normalization!r}."
            )

    @property
    def keeps_lines(self) -> bool:
        """Whether ids preserve all white space of a text, line breaks included."""
        return self.kind in ("characters", "bytes", "bpe", "sentencepiece_bpe")

    @property
    def ends_texts(self) -> bool:
        """Whether a token ends what a model writes; else only a limit does."""
        return not self.keeps_lines or self.kind in PUBLISHED_KINDS

    @property
    def has_unknown(self) -> bool:
        """Whether some texts have the unknown token among their ids."""
        return self.kind in ("wordpiece", "characters") or self.byte_fallback is False

    @property
    def has_charsmap(self) -> bool:
        """Whether a table of characters belongs to the vocabulary."""
        return self.normalization == "charsmap"

    @property
    def is_metaspace(self) -> bool:
        """Whether a unigram model is read as the `tokenizers` library reads it."""
        return self.kind == "sentencepiece" and self.splitter != "sentencepiece"

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
        # Files of our own kinds read as they did before others could be read.
        for name, defaults in _BY_KIND.items():
            if values[name] == defaults.get(self.kind):
                del values[name]
        if self.special == DEFAULT_SPECIAL:
            del values["special"]
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
        once = dict(_ONCE)
        if value.get("kind") in PUBLISHED_KINDS:
            del once["normalization"]
        if "special" in value:
            value = {**value, "special": SpecialTokens.from_json(value["special"])}
        return cls(**{**once, **value})
