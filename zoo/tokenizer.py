"""The tokenizer of the device: text to token ids with the standard library and NumPy only."""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.text import fold_text, split_words

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)
CONTINUATION = "##"
KINDS = ("wordpiece", "bytes")
CONFIG_FILE = "tokenizer.json"
VOCABULARY_FILE = "vocab.txt"
# What tensorflow-text's matcher cannot hold, so that no vocabulary works in one place only.
_UNUSABLE = re.compile("[\0\n\ud800-\udfff]")
_MAX_PIECE_BYTES = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How text becomes tokens; saved beside every model.

    Attributes:
        kind: "wordpiece" (words cut into pieces of a vocabulary) or "bytes" (UTF-8).
        lowercase: whether case is folded.
        strip_accents: whether accents are removed.
        max_bytes_per_word: a word with more UTF-8 bytes than this is unknown (word pieces only).
    """

    kind: str = "wordpiece"
    lowercase: bool = True
    strip_accents: bool = True
    max_bytes_per_word: int = 100

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(
                f"Expected the tokenizer's kind to be one of {', '.join(KINDS)}, "
                f"got kind={self.kind!r}."
            )
        for name in ("lowercase", "strip_accents"):
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoded:
    """Token ids of many rows, each of its own length.

    Attributes:
        ids: B arrays of int32.
        segment_ids: B arrays of int32 of the same lengths; 1 for the second text of a pair, else 0.
        num_truncated: how many rows lost tokens to `max_length`.
    """

    ids: list[np.ndarray]
    segment_ids: list[np.ndarray]
    num_truncated: int

    def pad(self, length: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Fills the rows with [PAD], id 0, up to one length.

        Args:
            length: T; the longest row's length when None.

        Returns:
            ids and segment_ids, each (B, T) int32.
        """
        longest = max(map(len, self.ids), default=0)
        if length is None:
            length = longest
        if length < longest:
            raise ValueError(
                f"Expected length to be at least the longest row's {longest}, got length={length}."
            )
        ids = np.zeros((len(self.ids), length), np.int32)
        segment_ids = np.zeros_like(ids)
        for row, (tokens, segments) in enumerate(zip(self.ids, self.segment_ids, strict=True)):
            ids[row, : len(tokens)] = tokens
            segment_ids[row, : len(segments)] = segments
        return ids, segment_ids


def check_vocabulary(vocabulary: Sequence[str], source: str = "the vocabulary") -> dict[str, int]:
    """Returns each piece's id, once the pieces are known to be usable.

    Args:
        vocabulary: the pieces in the order of their ids.
        source: what an error calls the vocabulary, such as its path.

    Raises:
        InputError: for an unusable or repeated piece, a missing special token, or [PAD] not first.
    """
    ids: dict[str, int] = {}
    for index, piece in enumerate(vocabulary):
        if not piece or _UNUSABLE.search(piece):
            raise InputError(
                f"Expected one piece on every line of {source}, got {piece!r} on line {index + 1}."
            )
        num_bytes = len(piece.removeprefix(CONTINUATION).encode())
        if num_bytes > _MAX_PIECE_BYTES:
            raise InputError(
                f"Expected pieces of at most {_MAX_PIECE_BYTES} bytes in {source}, "
                f"got {num_bytes} bytes on line {index + 1}."
            )
        if piece in ids:
            raise InputError(
                f"Expected every piece of {source} once, "
                f"got {piece!r} on lines {ids[piece] + 1} and {index + 1}."
            )
        ids[piece] = index
    for token in SPECIAL_TOKENS:
        if token not in ids:
            raise InputError(f"Expected {source} to hold {token}; add it on a line of its own.")
    if ids[PAD] != 0:
        raise InputError(
            f"Expected {PAD} on line 1 of {source}, got it on line {ids[PAD] + 1}: "
            "its id must be 0."
        )
    return ids


class Tokenizer:
    """Turns text into token ids: `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`.

    Word pieces are matched greedily, longest first, with "##" before every piece that continues a
    word (BERT, Devlin et al. 2018); a word without a match is [UNK]. Of kind "bytes", the ids are
    the five special tokens and then the 256 bytes.

    Args:
        config: the settings.
        vocabulary: the pieces in the order of their ids; empty for bytes.
    """

    def __init__(self, config: TokenizerConfig, vocabulary: Sequence[str] = ()):
        self.config = config
        if config.kind == "bytes":
            if vocabulary:
                raise InputError(
                    f"Expected no vocabulary for a bytes tokenizer, got {len(vocabulary)} pieces."
                )
            self.vocabulary = ()
            self.vocab_size = len(SPECIAL_TOKENS) + 256
            self._ids = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
        else:
            self.vocabulary = tuple(vocabulary)
            self.vocab_size = len(self.vocabulary)
            self._ids = check_vocabulary(self.vocabulary)
            self._longest = max(map(len, self.vocabulary))

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns each text's ids without special tokens."""
        if self.config.kind == "bytes":
            first = len(SPECIAL_TOKENS)
            return [[first + byte for byte in self._fold(text).encode()] for text in texts]
        return [[i for word in self._split(text) for i in self._match(word)] for text in texts]

    def _fold(self, text: str) -> str:
        config = self.config
        return fold_text(text, lowercase=config.lowercase, strip_accents=config.strip_accents)

    def _split(self, text: str) -> list[str]:
        config = self.config
        return split_words(text, lowercase=config.lowercase, strip_accents=config.strip_accents)

    def _match(self, word: str) -> list[int]:
        """Cuts one word into the ids of its pieces."""
        if len(word.encode()) > self.config.max_bytes_per_word:
            return [self._ids[UNK]]
        found = []
        start, prefix = 0, ""
        while start < len(word):
            end = min(len(word), start + self._longest)
            while end > start and (piece := self._ids.get(prefix + word[start:end])) is None:
                end -= 1
            if end == start:
                return [self._ids[UNK]]
            found.append(piece)
            start, prefix = end, CONTINUATION
        return found

    def encode(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, max_length: int
    ) -> Encoded:
        """Encodes texts, or pairs of texts, with their special tokens.

        Args:
            texts: B texts.
            pairs: the second text of each row, or None.
            max_length: the most tokens of a row, special tokens included. A longer row loses its
                end; of a pair, the longer text loses tokens first.
        """
        shortest = 3 if pairs is None else 5
        if max_length < shortest:
            raise InputError(
                f"Expected max_length to be at least {shortest}, got max_length={max_length}."
            )
        if pairs is not None and len(pairs) != len(texts):
            raise InputError(
                f"Expected as many pairs as texts, got {len(pairs)} pairs for {len(texts)} texts."
            )
        cls, sep = [self._ids[CLS]], [self._ids[SEP]]
        ids, segment_ids, num_truncated = [], [], 0
        if pairs is None:
            for a in self.pieces(texts):
                num_truncated += len(a) > max_length - 2
                row = np.array(cls + a[: max_length - 2] + sep, np.int32)
                ids.append(row)
                segment_ids.append(np.zeros_like(row))
        else:
            room = max_length - 3
            for a, b in zip(self.pieces(texts), self.pieces(pairs), strict=True):
                num_truncated += len(a) + len(b) > room
                # The second text is guaranteed half of the room, the first what is then left.
                a = a[: max(room - len(b), room - room // 2)]
                b = b[: room - len(a)]
                row = np.array(cls + a + sep + b + sep, np.int32)
                segments = np.zeros_like(row)
                segments[len(a) + 2 :] = 1
                ids.append(row)
                segment_ids.append(segments)
        return Encoded(ids=ids, segment_ids=segment_ids, num_truncated=num_truncated)

    def to_files(self) -> dict[str, bytes]:
        """Returns the files that `from_files` reads, by name."""
        files = {CONFIG_FILE: (json.dumps(self.config.to_json(), indent=2) + "\n").encode()}
        if self.config.kind == "wordpiece":
            files[VOCABULARY_FILE] = "".join(f"{piece}\n" for piece in self.vocabulary).encode()
        return files

    @classmethod
    def from_files(cls, config_json: str, vocabulary_text: str | None) -> Self:
        """Makes a tokenizer from the text of its files.

        Args:
            config_json: the text of tokenizer.json.
            vocabulary_text: the text of vocab.txt, a piece on each line; None for bytes.

        Raises:
            InputError: for files that do not describe a tokenizer.
        """
        try:
            value = json.loads(config_json)
        except ValueError as error:
            raise InputError(
                f"Expected {CONFIG_FILE} to hold JSON, got an error: {error}."
            ) from None
        config = TokenizerConfig.from_json(value)
        if config.kind == "bytes":
            return cls(config)
        if vocabulary_text is None:
            raise InputError(f"Expected {VOCABULARY_FILE} beside {CONFIG_FILE}, got none.")
        return cls(config, vocabulary_text.removesuffix("\n").split("\n"))

    def save(self, folder: str | os.PathLike) -> None:
        """Writes tokenizer.json, and vocab.txt for word pieces, into an existing folder."""
        for name, data in self.to_files().items():
            (pathlib.Path(folder) / name).write_bytes(data)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Self:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: when the folder holds no tokenizer.json.
            InputError: for files that do not describe a tokenizer.
        """
        config = _read_text(pathlib.Path(folder) / CONFIG_FILE)
        try:
            vocabulary = _read_text(pathlib.Path(folder) / VOCABULARY_FILE)
        except FileNotFoundError:
            vocabulary = None
        return cls.from_files(config, vocabulary)


def _read_text(path: pathlib.Path) -> str:
    # Text mode would turn every kind of line end into "\n".
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"Expected {path} to be UTF-8, got an error: {error}.") from None
