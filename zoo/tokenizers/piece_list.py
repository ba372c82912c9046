"""Vocabularies: the pieces of a tokenizer in the order of their ids, their checks and files."""

import dataclasses
import json
import math
import re
from collections.abc import Sequence
from typing import Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.numerals import read_number
from keras_transformer.zoo.tokenizers.bpe_file import bpe_from_text, bpe_to_bytes

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)
CONTINUATION = "##"
BYTE_PIECES = tuple(f"<0x{byte:02X}>" for byte in range(256))
# The character that stands for each byte in byte-level BPE: itself if it is printed, else a later.
_PRINTED = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_LATER = [byte for byte in range(256) if byte not in _PRINTED]
BYTE_ALPHABET = "".join(
    chr(byte if byte in _PRINTED else 256 + _LATER.index(byte)) for byte in range(256)
)
# The file of each kind that has a vocabulary.
VOCABULARY_FILES = {
    "wordpiece": "vocab.txt",
    "characters": "characters.json",
    "sentencepiece": "sentencepiece.tsv",
    "bpe": "bpe.json",
    "sentencepiece_bpe": "bpe.json",
}
# Replacements of characters, for vocabularies with a table of their own.
CHARSMAP_FILE = "charsmap.bin"
TOKENIZER_FILES = (*dict.fromkeys(VOCABULARY_FILES.values()), CHARSMAP_FILE)
_SCORED = ("sentencepiece", "sentencepiece_bpe")
# Characters that tensorflow-text's matchers cannot represent: a vocabulary must work everywhere.
_UNUSABLE = {
    "wordpiece": re.compile("[\0\n\ud800-\udfff]"),
    "characters": re.compile("[\ud800-\udfff]"),
    "sentencepiece": re.compile("[\0\t\n\ud800-\udfff]"),
    "bpe": re.compile("[\ud800-\udfff]"),
    "sentencepiece_bpe": re.compile("[\ud800-\udfff]"),
}
_MAX_PIECE_BYTES = {"bpe": 4096, "sentencepiece_bpe": 4096}
_USUAL_PIECE_BYTES = 256
# Maximum number of UTF-8 bytes of a character.
_MOST_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Vocabulary(Sequence[str]):
    """Pieces in the order of their ids; as a sequence, that of its pieces.

    Attributes:
        pieces: pieces by id.
        scores: log probability of each piece, float32 values; empty except for SentencePiece. A
            piece of -inf is never matched.
        merges: ids of the two pieces that each merge joins, the first merge first; empty except for
            BPE.
        charsmap: SentencePiece's precompiled table of characters, for some vocabularies.
    """

    pieces: tuple[str, ...]
    scores: tuple[float, ...] = ()
    merges: tuple[tuple[int, int], ...] = ()
    charsmap: bytes = b""

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, index):
        return self.pieces[index]

    def to_bytes(self, kind: str) -> bytes:
        """Returns the content of the vocabulary file for a kind of tokenizer."""
        if kind == "characters":
            # A list in JSON, a piece on each line.
            lines = ",\n".join(json.dumps(piece, ensure_ascii=False) for piece in self.pieces)
            return f"[{lines}]\n".encode()
        if VOCABULARY_FILES[kind] == "bpe.json":
            return bpe_to_bytes(self.pieces, self.scores, self.merges)
        if kind == "sentencepiece":
            rows = zip(self.pieces, self.scores, strict=True)
            return "".join(f"{piece}\t{score!r}\n" for piece, score in rows).encode()
        return "".join(f"{piece}\n" for piece in self.pieces).encode()

    @classmethod
    def from_bytes(cls, data: bytes, kind: str, source: str) -> Self:
        """Reads the result of `to_bytes`.

        Args:
            data: content of the file.
            kind: kind of tokenizer.
            source: name of the file in errors.

        Raises:
            InputError: if the content is not such a file; the pieces themselves are not checked.
        """
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"Expected {source} to be UTF-8, got an error: {error}.") from None
        if kind == "characters":
            return cls(_read_list(text, source))
        if VOCABULARY_FILES[kind] == "bpe.json":
            return cls(*bpe_from_text(text, source))
        # Not `splitlines`: a piece may contain a character that it treats as a line break.
        lines = text.removesuffix("\n").split("\n")
        if kind == "sentencepiece":
            pairs = [_read_pair(line, number, source) for number, line in enumerate(lines, 1)]
            return cls(tuple(piece for piece, _ in pairs), tuple(score for _, score in pairs))
        return cls(tuple(lines))

    def check(
        self,
        kind: str,
        source: str = "the vocabulary",
        special: Sequence[str] = SPECIAL_TOKENS,
        has_bytes: bool = True,
    ) -> dict[str, int]:
        """Returns each piece's id after checking that the pieces are usable.

        Args:
            kind: kind of tokenizer.
            source: name of the vocabulary in errors, such as its path.
            special: special tokens, of which the first is for padding.
            has_bytes: whether SentencePiece's pieces of bytes must be among them.

        Raises:
            InputError: if a piece is unusable or repeated, a special token or byte is missing,
                the padding is not first, or the scores do not fit.
        """
        ids = dict(zip(self.pieces, range(len(self.pieces)), strict=True))
        most_bytes = _MAX_PIECE_BYTES.get(kind, _USUAL_PIECE_BYTES)
        is_usual = (
            kind != "characters" and len(ids) == len(self.pieces) and "" not in ids
            and _UNUSABLE[kind].search("".join(self.pieces)) is None
            and max(map(len, self.pieces), default=0) * _MOST_BYTES <= most_bytes
        )  # fmt: skip
        # Large vocabularies are checked at once, and piece by piece for the error.
        if not is_usual:
            self._check_pieces(kind, source, special, most_bytes)
        fixed = {"sentencepiece": BYTE_PIECES, "sentencepiece_bpe": BYTE_PIECES}
        required = (*special, *(fixed.get(kind, ()) if has_bytes else ()))
        for token in required:
            if token not in ids:
                raise InputError(f"Expected {source} to hold {token}; add it on a line of its own.")
        pad = special[0]
        if ids[pad] != 0:
            raise InputError(
                f"Expected {pad} on line 1 of {source}, got it on line {ids[pad] + 1}: "
                "its id must be 0."
            )
        scored = kind in _SCORED and not self.merges
        expected = len(ids) if scored else 0
        if len(self.scores) != expected:
            raise InputError(f"Expected {expected} scores in {source}, got {len(self.scores)}.")
        for left, right in self.merges:
            if self.pieces[left] + self.pieces[right] not in ids:
                raise InputError(
                    f"Expected merges of {source} to make pieces, got "
                    f"{self.pieces[left]!r} and {self.pieces[right]!r}."
                )
        return ids

    def _check_pieces(
        self, kind: str, source: str, special: Sequence[str], most_bytes: int
    ) -> None:
        """Raises InputError if a piece is unusable or repeated."""
        ids: dict[str, int] = {}
        for index, piece in enumerate(self.pieces):
            if not piece or _UNUSABLE[kind].search(piece):
                raise InputError(
                    f"Expected one piece on every line of {source}, "
                    f"got {piece!r} on line {index + 1}."
                )
            if kind == "characters" and len(piece) > 1 and piece not in special:
                raise InputError(
                    f"Expected every piece of {source} to be one character, got {piece!r}."
                )
            num_bytes = len(piece.removeprefix(CONTINUATION).encode())
            if num_bytes > most_bytes:
                raise InputError(
                    f"Expected pieces of at most {most_bytes} bytes in {source}, "
                    f"got {num_bytes} bytes on line {index + 1}."
                )
            if piece in ids:
                raise InputError(
                    f"Expected every piece of {source} once, "
                    f"got {piece!r} on lines {ids[piece] + 1} and {index + 1}."
                )
            ids[piece] = index


def _read_list(text: str, source: str) -> tuple[str, ...]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"Expected {source} to hold JSON, got an error: {error}.") from None
    if not isinstance(value, list) or not all(isinstance(piece, str) for piece in value):
        raise InputError(f"Expected {source} to hold a list of characters.")
    return tuple(value)


def _read_pair(line: str, number: int, source: str) -> tuple[str, float]:
    piece, _, score = line.rpartition("\t")
    value = -math.inf if score == "-inf" else read_number(score)
    if value is None or not (math.isfinite(value) or score == "-inf"):
        raise InputError(
            f"Expected a piece, a tab and its score on every line of {source}, "
            f"got {line!r} on line {number}."
        )
    return piece, value
