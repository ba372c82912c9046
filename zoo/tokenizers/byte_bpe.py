"""Byte-level BPE: UTF-8 bytes, merged within the parts of a text (GPT-2, Radford et al. 2019)."""

import functools
import re
import unicodedata
from collections.abc import Sequence

from keras_transformer.zoo.tokenizers.merges import merge
from keras_transformer.zoo.tokenizers.normalizers.splitters import SPLITTERS
from keras_transformer.zoo.tokenizers.piece_list import BYTE_ALPHABET, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

_CACHED_WORDS = 1 << 16
_SURROGATES = re.compile("[\ud800-\udfff]")
_BYTES = {character: byte for byte, character in enumerate(BYTE_ALPHABET)}


def whole_text(text: str) -> str:
    """Returns the text with U+FFFD for lone surrogates, which have no UTF-8 form."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def split_around(pieces: Sequence[str]) -> re.Pattern | None:
    """Returns the expression that splits a text around pieces, the longest first, keeping them."""
    if not pieces:
        return None
    longest_first = sorted(pieces, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})")


class ByteBPE:
    """Bytes of a text's parts, merged in the order of the vocabulary's merges.

    Args:
        vocabulary: pieces in the order of their ids, written in GPT-2's alphabet of bytes, and
            merges.
        config: settings of kind `bpe`.
    """

    def __init__(self, vocabulary: Vocabulary, config: TokenizerConfig):
        added = config.added or ()
        self.piece_ids = vocabulary.check("bpe", special=config.special.names + added)
        self.size = len(vocabulary)
        pieces = vocabulary.pieces
        self._ranks = {
            (pieces[left], pieces[right]): rank
            for rank, (left, right) in enumerate(vocabulary.merges)
        }
        self._config = config
        self._split = SPLITTERS[str(config.splitter)]
        self._added = split_around(added)
        as_text = {*config.special.names, *added}
        self._bytes = [
            piece.encode() if piece in as_text else _piece_bytes(piece) for piece in pieces
        ]
        # Special tokens are the same as text only where a template has them.
        self._whole = {} if not config.whole_words else {
            piece: i for piece, i in self.piece_ids.items() if piece not in as_text
        }  # fmt: skip
        names = (*BYTE_ALPHABET, *added)
        self.required = frozenset(self.piece_ids[one] for one in names if one in self.piece_ids)
        # Words repeat: a corpus of 700,000 words has 35,000 distinct ones.
        self.match = functools.lru_cache(_CACHED_WORDS)(self._match)

    def fold(self, text: str) -> str:
        """Returns the text whose bytes are merged."""
        text = whole_text(text)
        return unicodedata.normalize("NFC", text) if self._config.normalization == "nfc" else text

    def split(self, text: str) -> list[str]:
        """Returns the parts, which are matched one by one."""
        text = self.fold(text)
        if self._added is None:
            return self._parts(text)
        runs = enumerate(self._added.split(text))
        # Every second is an added piece.
        return [part for i, run in runs for part in ([run] if i % 2 else self._parts(run))]

    def _parts(self, text: str) -> list[str]:
        if self._config.prefix_space and text and text[0] != " ":
            text = f" {text}"
        return self._split(text)

    def ids(self, text: str) -> list[int]:
        """Returns the ids of a text."""
        return [piece for part in self.split(text) for piece in self.match(part)]

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of the bytes; invalid UTF-8 becomes U+FFFD."""
        return b"".join(self._bytes[i] for i in ids).decode(errors="replace")

    def used(self, part: str) -> set[int]:
        """Returns the ids of the pieces of a part, and of those that are merged further."""
        made: set[str] = set()
        return {*self._match(part, made), *(self.piece_ids[piece] for piece in made)}

    def _match(self, part: str, made: set[str] | None = None) -> tuple[int, ...]:
        if self._added is not None and self._added.fullmatch(part):
            return (self.piece_ids[part],)
        # Published vocabularies lack some control characters, which are left out.
        bytes_ = (BYTE_ALPHABET[byte] for byte in part.encode())
        symbols = [symbol for symbol in bytes_ if symbol in self.piece_ids]
        if (whole := self._whole.get("".join(symbols))) is not None:
            return (whole,)
        return tuple(self.piece_ids[piece] for piece in merge(symbols, self._rank, made))

    def _rank(self, left: str, right: str) -> int | None:
        return self._ranks.get((left, right))


def _piece_bytes(piece: str) -> bytes:
    """The bytes of a piece; one that is not in the alphabet of bytes is text."""
    try:
        return bytes(_BYTES[character] for character in piece)
    except KeyError:
        return piece.encode()
