"""The unigram language model over pieces of words, compatible with SentencePiece."""

import functools
import itertools
import math
import re
import unicodedata
from array import array
from collections.abc import Collection, Sequence
from typing import NamedTuple

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.marked import SPACE, Marker
from keras_transformer.zoo.tokenizers.normalizers.normalize import fold_text
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

# The words of a marked text.
_WORDS = re.compile(f"{SPACE}[^{SPACE}]*|[^{SPACE}]+")
_CACHED_WORDS = 1 << 16
# Penalty of a character outside the vocabulary, relative to the least probable piece.
_UNKNOWN_PENALTY = 10.0


class Edge(NamedTuple):
    """A piece at a position in a word.

    Attributes:
        start, end: range of the characters that it covers.
        ids: id of the piece, or ids of the bytes of a character outside the vocabulary, or the
            unknown token's.
        score: log probability of the piece.
        known: whether the piece is in the vocabulary.
    """

    start: int
    end: int
    ids: tuple[int, ...]
    score: float
    known: bool = True


class Unigram:
    """Splits each word into its most probable pieces (Kudo 2018, arXiv:1804.10959, section 3.1).

    Each word begins with "▁", which represents the space before it. With the normalization `nfkc`
    the text is NFKC-normalized and folded, and white space separates words; with `identity` it is
    only folded, and each space separates words, which may be empty, so that ids restore the text,
    white space included. With `charsmap` the vocabulary's own table replaces characters. A
    character outside the vocabulary becomes its UTF-8 bytes, or a run of them in a word the unknown
    token. The ids are those of SentencePiece, which rounds sums to float32 at every position and,
    of equal sums, selects the one whose last piece is longest.

    Args:
        vocabulary: pieces in the order of their ids, with their scores.
        config: settings of kind `sentencepiece`.
    """

    def __init__(self, vocabulary: Vocabulary, config: TokenizerConfig):
        special = config.special
        has_bytes = bool(config.byte_fallback)
        self.piece_ids = vocabulary.check(
            "sentencepiece", special=special.names, has_bytes=has_bytes
        )
        # Pieces past the last id are only known to split words.
        self.size = len(vocabulary) - (config.unknown_pieces or 0)
        if any(self.piece_ids[name] >= self.size for name in special.names):
            raise InputError(
                "Expected special tokens with ids, got unknown_pieces="
                f"{config.unknown_pieces} of {len(vocabulary)} pieces."
            )
        self._is_identity = config.normalization == "identity"
        self._marker = Marker(vocabulary.charsmap, config) if config.has_charsmap else None
        self._fold = config.fold
        # Where nothing is unknown no token is.
        self._unknown_id = self.piece_ids[special.unk or special.pad]
        bytes_ = BYTE_PIECES if has_bytes else ()
        self._byte_ids = tuple(self.piece_ids[piece] for piece in bytes_)
        # The text of each id.
        self._bytes = [piece.encode() for piece in vocabulary]
        for byte, i in enumerate(self._byte_ids):
            self._bytes[i] = bytes([byte])
        hidden = {*special.names, *bytes_}
        scores = array("f", vocabulary.scores)
        self._edges = {
            piece: ((i if i < self.size else self._unknown_id,), scores[i])
            for piece, i in self.piece_ids.items()
            if piece not in hidden and scores[i] != -math.inf
        }
        self._unused = {
            piece: i for piece, i in self.piece_ids.items()
            if piece not in hidden and scores[i] == -math.inf and i < self.size
        }  # fmt: skip
        self._longest = max(map(len, self._edges), default=1)
        lowest = min((score for _, score in self._edges.values()), default=0.0)
        self._unknown = array("f", [lowest - _UNKNOWN_PENALTY])[0]
        # The least probable piece, relative to which the unknown is scored.
        least = [self.piece_ids[one] for one, (_, score) in self._edges.items() if score == lowest]
        self.required = frozenset((*self._byte_ids, *least[:1]))
        # Words repeat: a corpus of 700,000 words has 35,000 distinct ones.
        self.match = functools.lru_cache(_CACHED_WORDS)(self._match)

    def normalize(self, text: str) -> str:
        """Returns the text that `text(ids(...))` restores."""
        if self._marker is not None:
            return self._marker.mark(text).replace(SPACE, " ").removeprefix(" ")
        if self._is_identity:
            return fold_text(text, **self._fold).replace(SPACE, " ")
        folded = fold_text(unicodedata.normalize("NFKC", text), **self._fold)
        return " ".join(folded.replace(SPACE, " ").split())

    def split(self, text: str) -> list[str]:
        """Returns the words, each with a leading "▁", which are matched one by one."""
        if self._marker is not None:
            return _WORDS.findall(self._marker.mark(text))
        normal = self.normalize(text)
        return [SPACE + word for word in normal.split(" ")] if normal else []

    def ids(self, text: str) -> list[int]:
        """Returns the ids of a text."""
        return [piece for word in self.split(text) for piece in self.match(word)]

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of the pieces; invalid UTF-8 becomes U+FFFD."""
        joined = b"".join(self._bytes[i] for i in ids).decode(errors="replace")
        return joined.replace(SPACE, " ").removeprefix(" ")

    def used(self, word: str) -> set[int]:
        """Returns the ids of the pieces of a word, and places past the last id of those without."""
        path = best_path(self.edges(word))
        known = {self.piece_ids[word[edge.start : edge.end]] for edge in path if edge.known}
        return known.union(self.match(word))

    def _match(self, word: str) -> tuple[int, ...]:
        path = best_path(self.edges(word))
        if self._byte_ids:
            return tuple(i for edge in path for i in edge.ids)
        found: list[int] = []
        for known, run in itertools.groupby(path, key=lambda edge: edge.known):
            if known:
                found += [i for edge in run for i in edge.ids]
            else:
                # A run of unknown characters is one token; of Marian's, a piece of another model.
                text = "".join(word[edge.start : edge.end] for edge in run)
                found.append(self._unused.get(text, self._unknown_id))
        return tuple(found)

    def edges(self, word: str) -> list[list[Edge]]:
        """Returns the pieces that start at each character of a word, shortest first.

        Where no piece covers a character by itself, its bytes come last.
        """
        rows = []
        for start in range(len(word)):
            row = []
            for end in range(start + 1, min(len(word), start + self._longest) + 1):
                if found := self._edges.get(word[start:end]):
                    row.append(Edge(start, end, *found))
            if not row or row[0].end > start + 1:
                fallback: tuple[int, ...] = (self._unknown_id,)
                if self._byte_ids:
                    fallback = tuple(self._byte_ids[byte] for byte in word[start].encode())
                row.append(Edge(start, start + 1, fallback, self._unknown, known=False))
            rows.append(row)
        return rows


def best_path(edges: Sequence[Sequence[Edge]], dropped: Collection[Edge] = ()) -> list[Edge]:
    """Returns the pieces of the most probable segmentation.

    Args:
        edges: result of `Unigram.edges`.
        dropped: edges to skip; an edge of each single character must remain.
    """
    length = len(edges)
    # As in SentencePiece, a sum is compared in double precision and kept in float32, but one that
    # ends with an unknown character is rounded before it is compared.
    scores = array("f", bytes(4 * (length + 1)))
    arrivals: dict[int, Edge] = {}
    for start, row in enumerate(edges):
        here = scores[start]
        for edge in row:
            total = here + edge.score
            if not edge.known:
                total = array("f", [total])[0]
            end = edge.end
            if (end not in arrivals or total > scores[end]) and edge not in dropped:
                scores[end], arrivals[end] = total, edge
    path, end = [], length
    while end:
        path.append(arrivals[end])
        end = arrivals[end].start
    return path[::-1]
