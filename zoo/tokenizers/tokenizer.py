"""The device tokenizer: text to token ids with only the standard library and NumPy."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.byte_bpe import ByteBPE
from keras_transformer.zoo.tokenizers.piece_list import (
    CHARSMAP_FILE,
    TOKENIZER_FILES,
    VOCABULARY_FILES,
    Vocabulary,
)
from keras_transformer.zoo.tokenizers.pieces import Bytes, Characters, WordPieces
from keras_transformer.zoo.tokenizers.sentence_bpe import SentenceBPE
from keras_transformer.zoo.tokenizers.special import Frame
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig
from keras_transformer.zoo.tokenizers.unigram import Unigram

CONFIG_FILE = "tokenizer.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoded:
    """Token ids of rows of different lengths.

    Attributes:
        ids: B arrays of int32.
        segment_ids: B arrays of int32 of the same lengths; 1 for the second text of a pair, else 0.
        truncated: for each of the B rows, whether it was truncated to `max_length`; empty if
            none was.
    """

    ids: list[np.ndarray]
    segment_ids: list[np.ndarray]
    truncated: Sequence[bool] = ()

    @property
    def num_truncated(self) -> int:
        """Number of truncated rows."""
        return sum(self.truncated)

    @property
    def columns(self) -> dict[str, list[np.ndarray]]:
        """The rows by name of the model's input."""
        return {"ids": self.ids, "segment_ids": self.segment_ids}

    def pad(self, length: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Pads the rows with [PAD], id 0, to one length.

        Args:
            length: padded length, T; by default that of the longest row.

        Returns:
            ids and segment_ids, each (B, T) int32.
        """
        return pad_rows(self.ids, length), pad_rows(self.segment_ids, length)


def pad_rows(rows: Sequence[np.ndarray], length: int | None = None) -> np.ndarray:
    """Pads rows with [PAD], id 0, to an int32 array (B, T).

    Args:
        rows: B arrays of integers.
        length: padded length, T; by default that of the longest row.

    Raises:
        ValueError: if a row is longer.
    """
    longest = max(map(len, rows), default=0)
    if length is None:
        length = longest
    if length < longest:
        raise ValueError(
            f"Expected length to be at least the longest row's {longest}, got length={length}."
        )
    padded = np.zeros((len(rows), length), np.int32)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded


class Tokenizer:
    """Turns text into token ids, and ids into text.

    Special tokens surround a text or a pair of texts as `TokenizerConfig.special` says: by default
    `[CLS] a [SEP]` and `[CLS] a [SEP] b [SEP]`.

    Args:
        config: settings of the tokenizer.
        vocabulary: pieces in the order of their ids, a `Vocabulary` with scores for
            sentencepiece; empty for bytes, whose ids follow the five special tokens.

    Attributes:
        config: settings of the tokenizer.
        vocabulary: pieces by id.
        model: tokenizer model, which converts a text to ids and back.
        vocab_size: number of ids.
        pad_id, unk_id, cls_id, sep_id: ids of the special tokens pad, unk (that of pad where
            nothing is unknown), begin and end.
        special_ids: ids of all special tokens.
        single_frame, pair_frame: ids of the special tokens around a text and a pair.
    """

    def __init__(self, config: TokenizerConfig, vocabulary: Sequence[str] = ()):
        if not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary(tuple(vocabulary))
        self.config = config
        self.vocabulary = vocabulary
        self.model = _model(config, vocabulary)
        self.vocab_size = self.model.size
        special, ids = config.special, self.model.piece_ids
        self.pad_id, self.cls_id, self.sep_id = (
            ids[name] for name in (special.pad, special.begin, special.end)
        )
        # Where nothing is unknown no token is.
        self.unk_id = self.pad_id if special.unk is None else ids[special.unk]
        self.special_ids = {ids[name] for name in special.names}
        self.single_frame, self.pair_frame = (
            Frame(*([ids[name] for name in part] for part in frame))
            for frame in (special.single_frame, special.pair_frame)
        )

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns each text's ids without special tokens."""
        return [self.model.ids(text) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of ids, without special tokens.

        Characters and bytes restore the encoded text as it was folded; sentencepiece does too, with
        single spaces between words. Word pieces do not record where spaces were: see
        `WordPieces.text`.

        Raises:
            InputError: if an id is outside the vocabulary.
        """
        kept = []
        for i in map(int, ids):
            if not 0 <= i < self.vocab_size:
                raise InputError(f"Expected ids from 0 to {self.vocab_size - 1}, got {i}.")
            if i not in self.special_ids:
                kept.append(i)
        return self.model.text(kept)

    def encode(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, max_length: int
    ) -> Encoded:
        """Encodes texts, or pairs of texts, with their special tokens.

        Args:
            texts: B texts.
            pairs: second text of each row, or None.
            max_length: maximum number of tokens of a row, special tokens included. The end of a
                longer row is truncated; in a pair, the longer text is truncated first.
        """
        frame = self.single_frame if pairs is None else self.pair_frame
        shortest = frame.size + (1 if pairs is None else 2)
        if max_length < shortest:
            raise InputError(
                f"Expected max_length to be at least {shortest}, got max_length={max_length}."
            )
        if pairs is not None and len(pairs) != len(texts):
            raise InputError(
                f"Expected as many pairs as texts, got {len(pairs)} pairs for {len(texts)} texts."
            )
        before, between, after = frame
        room = max_length - frame.size
        ids, segment_ids, truncated = [], [], []
        if pairs is None:
            for a in self.pieces(texts):
                truncated.append(len(a) > room)
                row = np.array(before + a[:room] + after, np.int32)
                ids.append(row)
                segment_ids.append(np.zeros_like(row))
        else:
            for a, b in zip(self.pieces(texts), self.pieces(pairs), strict=True):
                truncated.append(len(a) + len(b) > room)
                # The second text is guaranteed half of the room, the first gets the rest.
                a = a[: max(room - len(b), room - room // 2)]
                b = b[: room - len(a)]
                row = np.array(before + a + between + b + after, np.int32)
                segments = np.zeros_like(row)
                if self.config.special.segments:
                    segments[len(before) + len(a) + len(between) :] = 1
                ids.append(row)
                segment_ids.append(segments)
        return Encoded(ids=ids, segment_ids=segment_ids, truncated=truncated)

    def encode_sequences(
        self, texts: Sequence[str], *, max_length: int, begin: bool = False, end: bool = True
    ) -> Encoded:
        """Encodes texts as the sequences that a model reads or writes.

        Args:
            texts: B texts.
            max_length: maximum number of tokens of a row, special tokens included. The end of a
                longer text is truncated.
            begin: whether [CLS] precedes each text.
            end: whether [SEP] follows it.

        Returns:
            The rows, all with segment 0.
        """
        before, after = [self.cls_id] * begin, [self.sep_id] * end
        room = max_length - len(before) - len(after)
        if room < 1:
            raise InputError(
                f"Expected max_length to be at least {1 + len(before) + len(after)}, "
                f"got max_length={max_length}."
            )
        pieces = self.pieces(texts)
        ids = [np.array(before + row[:room] + after, np.int32) for row in pieces]
        return Encoded(
            ids=ids,
            segment_ids=[np.zeros_like(row) for row in ids],
            truncated=[len(row) > room for row in pieces],
        )

    def to_files(self, prefix: str = "") -> dict[str, bytes]:
        """Returns the files for `from_files`, by name with the prefix."""
        kind = self.config.kind
        config = (json.dumps(self.config.to_json(), indent=2) + "\n").encode()
        files = {prefix + CONFIG_FILE: config}
        if kind in VOCABULARY_FILES:
            files[prefix + VOCABULARY_FILES[kind]] = self.vocabulary.to_bytes(kind)
        if self.config.has_charsmap:
            files[prefix + CHARSMAP_FILE] = self.vocabulary.charsmap
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], prefix: str = "") -> Self:
        """Creates a tokenizer from the result of `to_files`, which may include other files.

        Raises:
            InputError: if the files do not describe a tokenizer.
        """
        name = prefix + CONFIG_FILE
        if name not in files:
            raise InputError(f"Expected a file {name}, got none.")
        try:
            value = json.loads(files[name])
        except (ValueError, RecursionError) as error:
            raise InputError(f"Expected {name} to hold JSON, got an error: {error}.") from None
        config = TokenizerConfig.from_json(value)
        if config.kind not in VOCABULARY_FILES:
            return cls(config)
        source = prefix + VOCABULARY_FILES[config.kind]
        table = prefix + CHARSMAP_FILE
        for needed in (source, table) if config.has_charsmap else (source,):
            if needed not in files:
                raise InputError(f"Expected {needed} beside {name}, got none.")
        vocabulary = Vocabulary.from_bytes(files[source], config.kind, source)
        if config.has_charsmap:
            vocabulary = dataclasses.replace(vocabulary, charsmap=bytes(files[table]))
        return cls(config, vocabulary)

    def save(self, folder: str | os.PathLike) -> None:
        """Writes tokenizer.json and the vocabulary file into an existing folder."""
        for name, data in self.to_files().items():
            (pathlib.Path(folder) / name).write_bytes(data)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Self:
        """Reads a tokenizer written by `save`.

        Raises:
            FileNotFoundError: if the folder has no tokenizer.json.
            InputError: if the files do not describe a tokenizer.
        """
        folder = pathlib.Path(folder)
        files = {CONFIG_FILE: (folder / CONFIG_FILE).read_bytes()}
        for name in TOKENIZER_FILES:
            if (folder / name).is_file():
                files[name] = (folder / name).read_bytes()
        return cls.from_files(files)


def _model(
    config: TokenizerConfig, vocabulary: Vocabulary
) -> WordPieces | Bytes | Characters | Unigram | ByteBPE | SentenceBPE:
    if config.kind == "wordpiece":
        return WordPieces(
            vocabulary, is_too_long=config.is_too_long, special=config.special,
            normalization=str(config.normalization), **config.fold,
        )  # fmt: skip
    if config.kind == "characters":
        return Characters(vocabulary, **config.fold)
    if config.kind == "sentencepiece":
        return Unigram(vocabulary, config)
    if config.kind == "bpe":
        return ByteBPE(vocabulary, config)
    if config.kind == "sentencepiece_bpe":
        return SentenceBPE(vocabulary, config)
    if vocabulary:
        raise InputError(
            f"Expected no vocabulary for a bytes tokenizer, got {len(vocabulary)} pieces."
        )
    return Bytes(**config.fold)
