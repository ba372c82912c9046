"""SentencePiece models: the parts of their file that ids depend on."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from keras_transformer.zoo.errors import InputError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
_UNIGRAM, _BPE = 1, 2


class SentencePieces(NamedTuple):
    """A SentencePiece model.

    Attributes:
        pieces: pieces by id.
        scores: score of each.
        types: type of each, such as `NORMAL`.
        is_bpe: whether pieces are merged, rather than the most probable chosen.
        byte_fallback: whether a character outside the vocabulary becomes its bytes.
        charsmap: precompiled table of characters; empty for none.
        prefix_space: whether a space precedes each text.
        single_spaces: whether spaces are joined, and removed at a text's ends.
    """

    pieces: list[str]
    scores: list[float]
    types: list[int]
    is_bpe: bool
    byte_fallback: bool
    charsmap: bytes
    prefix_space: bool
    single_spaces: bool


def read_sentence_pieces(path: Path) -> SentencePieces:
    """Reads a SentencePiece model (sentencepiece_model.proto).

    Raises:
        InputError: if the file is damaged, or the model is of a kind that has no counterpart.
    """
    try:
        return _model(path.read_bytes(), path)
    except (ValueError, IndexError, struct.error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"Expected {path} to be a SentencePiece model, got {error}.") from None


def _model(data: bytes, path: Path) -> SentencePieces:
    pieces, scores, types = [], [], []
    trainer: dict[int, object] = {}
    normalizer: dict[int, object] = {}
    for number, value in _fields(data):
        if number == 1:
            piece = dict(_fields(value))
            pieces.append(piece.get(1, b"").decode())
            scores.append(struct.unpack("<f", piece.get(2, bytes(4)))[0])
            types.append(piece.get(3, NORMAL))
        elif number == 2:
            trainer = dict(_fields(value))
        elif number == 3:
            normalizer = dict(_fields(value))
    if not pieces:
        raise ValueError("no pieces")
    kind = trainer.get(3, _UNIGRAM)
    unlike = {
        "model_type": kind in (_UNIGRAM, _BPE),
        "treat_whitespace_as_suffix": not trainer.get(24, 0),
        "escape_whitespaces": bool(normalizer.get(5, 1)),
        "unused pieces": kind == _UNIGRAM or UNUSED not in types,
    }
    for name, holds in unlike.items():
        if not holds:
            raise InputError(f"Expected a SentencePiece model of a known {name} in {path}.")
    return SentencePieces(
        pieces, scores, types, kind == _BPE, bool(trainer.get(35, 0)), normalizer.get(2, b""),
        bool(normalizer.get(3, 1)), bool(normalizer.get(4, 1)),
    )  # fmt: skip


def _fields(data: bytes) -> Iterator[tuple[int, object]]:
    """Yields the number and the value of each field of a Protocol Buffers message."""
    if not isinstance(data, bytes):
        raise ValueError("a number in place of a message")
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
        else:
            size = {1: 8, 5: 4}.get(wire)
            if wire == 2:
                size, place = _varint(data, place)
            if size is None or place + size > len(data):
                raise ValueError(f"a field of {size} bytes at byte {place} of {len(data)}")
            value, place = data[place : place + size], place + size
        yield number, value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError(f"a number of more than ten bytes at byte {place}")
