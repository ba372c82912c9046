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
# What a sum of float32 loses at each addition, relative to its size, twice over.
_ROUNDING = 2.0**-21


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


class Cut(NamedTuple):
    """The most probable segmentation of a word.

    Attributes:
        ids: ids of the pieces.
        parts: text and id of each piece; -1 for a character outside the vocabulary.
        scores: score of each piece.
        size: sum of the scores' absolute values.
        room: what the sizes of the words before it may add up to at most, for the segmentation to
            be the same in a text whose sums are rounded to float32.
        joins_before, joins_after: whether the first and the last part are unknown, and one token
            with those of a neighbouring word.
    """

    ids: tuple[int, ...]
    parts: tuple[tuple[str, int], ...]
    scores: tuple[float, ...]
    size: float
    room: float
    joins_before: bool
    joins_after: bool


class Unigram:
    """Splits each word into its most probable pieces (Kudo 2018, arXiv:1804.10959, section 3.1).

    Each word begins with "▁", which represents the space before it. With the normalization `nfkc`
    the text is NFKC-normalized and folded, and white space separates words; with `identity` it is
    only folded, and each space separates words, which may be empty, so that ids restore the text,
    white space included. With `charsmap` the vocabulary's own table replaces characters. A
    character outside the vocabulary becomes its UTF-8 bytes, or a run of them the unknown token.

    The ids are those of SentencePiece, which rounds sums to float32 at every position and, of equal
    sums, selects the one whose last piece is longest. Where a published model has a table, sums go
    on over the words of a text, as in SentencePiece, and so does their rounding. With another
    splitter than `sentencepiece` the ids are those of the `tokenizers` library, which adds up each
    word in float64.

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
        self._pieces = vocabulary.pieces
        self._bytes_by_id = {i: bytes([byte]) for byte, i in enumerate(self._byte_ids)}
        self._floats = "d" if config.is_metaspace else "f"
        self._goes_on = config.has_charsmap and not config.is_metaspace
        scores: Sequence[float] = vocabulary.scores
        if not config.has_charsmap:
            scores = array("f", scores)
        self._scores = scores
        # The library finds pieces of bytes in texts too.
        hidden = special.names if config.is_metaspace else (*special.names, *bytes_)
        self._ids = dict(self.piece_ids)
        for piece in hidden:
            del self._ids[piece]
        known = [score for score in scores if score != -math.inf]
        if not config.is_metaspace:
            known = [scores[i] for i in self._ids.values() if scores[i] != -math.inf]
        self._unused = {}
        if len(known) < len(scores):
            never = [piece for piece, i in self._ids.items() if scores[i] == -math.inf]
            self._unused = {piece: i for piece in never if (i := self._ids.pop(piece)) < self.size}
        lowest = min(known, default=0.0)
        self._unknown = array(self._floats, [lowest - _UNKNOWN_PENALTY])[0]
        # The least probable piece, relative to which the unknown is scored.
        least = [i for i in self._ids.values() if scores[i] == lowest]
        self.required = frozenset((*self._byte_ids, *least[:1]))
        # Words repeat: a corpus of 700,000 words has 35,000 distinct ones.
        self.cut = functools.lru_cache(_CACHED_WORDS)(self._cut)

    @functools.cached_property
    def _reach(self) -> dict[str, int]:
        """The length of the longest piece by its first three characters."""
        found: dict[str, int] = {}
        for piece in self._ids:
            if len(piece) > 2:
                begin = piece[:3]
                if len(piece) > found.get(begin, 0):
                    found[begin] = len(piece)
        return found

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
        cuts = [self.cut(word) for word in self.split(text)]
        found: list[int] = []
        if not self._goes_on:
            for cut in cuts:
                found += cut.ids
            return found
        before, was_unknown = 0.0, False
        for ids, _, _, size, room, joins_before, joins_after in cuts:
            if before > room or (was_unknown and joins_before):
                return self._ids_in_order(cuts)
            before += size
            was_unknown = joins_after
            found += ids
        return found

    def match(self, word: str) -> tuple[int, ...]:
        """Returns the ids of a word by itself."""
        return self.cut(word).ids

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of the pieces; invalid UTF-8 becomes U+FFFD."""
        pieces, bytes_ = self._pieces, self._bytes_by_id
        joined = b"".join(bytes_.get(i) or pieces[i].encode() for i in ids)
        return joined.decode(errors="replace").replace(SPACE, " ").removeprefix(" ")

    def used(self, word: str) -> set[int]:
        """Returns the ids of the pieces of a word, and places past the last id of those without."""
        cut = self.cut(word)
        return {i for _, i in cut.parts if i >= 0}.union(cut.ids)

    def _ids_in_order(self, cuts: Sequence[Cut]) -> list[int]:
        """The ids of words whose sums go on."""
        start = array("f", [0.0])
        size = 0.0
        parts: list[tuple[str, int]] = []
        for cut in cuts:
            if size > cut.room:
                cut = self._cut("".join(text for text, _ in cut.parts), start[0])
            for score in cut.scores:
                start[0] += score
            size += cut.size
            parts += cut.parts
        return self._ids_of(parts)

    def _ids_of(self, parts: Sequence[tuple[str, int]]) -> list[int]:
        found = [i for _, i in parts]
        if min(found) >= 0 and max(found) < self.size:
            return found
        found = []
        for is_unknown, run in itertools.groupby(parts, key=lambda part: part[1] < 0):
            if not is_unknown:
                found += [i if i < self.size else self._unknown_id for _, i in run]
                continue
            text = "".join(part for part, _ in run)
            if self._byte_ids:
                found += [self._byte_ids[byte] for byte in text.encode()]
            else:
                # A run of unknown characters is one token; of Marian's, a piece of another model.
                found.append(self._unused.get(text, self._unknown_id))
        return found

    def _cut(self, word: str, before: float = 0.0) -> Cut:
        """Splits a word whose sums begin with that of the words before it."""
        length, ids, scores, reach = len(word), self._ids, self._scores, self._reach
        # See `best_path`; later versions of SentencePiece round all sums before they compare them.
        is_single, rounds_all = self._floats == "f", self._goes_on
        rounded = array("f", [0.0])
        sums = array(self._floats, [before]) * (length + 1)
        seconds = [-math.inf] * (length + 1)
        starts, found = [-1] * (length + 1), [-1] * (length + 1)
        for start in range(length):
            here = sums[start]
            last = start + reach.get(word[start : start + 3], 2)
            for end in range(start + 1, min(length, last) + 1):
                i = ids.get(word[start:end], -1)
                if i >= 0:
                    total = here + scores[i]
                elif end == start + 1:
                    total = here + self._unknown
                else:
                    continue
                if rounds_all or (i < 0 and is_single):
                    rounded[0] = total
                    total = rounded[0]
                if starts[end] < 0:
                    sums[end], starts[end], found[end] = total, start, i
                elif total > sums[end]:
                    seconds[end] = sums[end]
                    sums[end], starts[end], found[end] = total, start, i
                elif total > seconds[end]:
                    seconds[end] = total
        path, gap, end = [], math.inf, length
        while end:
            gap = min(gap, sums[end] - seconds[end])
            path.append((word[starts[end] : end], found[end]))
            end = starts[end]
        parts = tuple(path[::-1])
        of_parts = tuple([self._unknown if i < 0 else scores[i] for _, i in parts])
        size = sum(map(abs, of_parts))
        # Two sums of `length` scores, each rounded by half a step of at most 2^-23 of its size.
        room = gap / (_ROUNDING * (length + 1)) - size
        joins = [not self._byte_ids and parts[place][1] < 0 for place in (0, -1)]
        return Cut(tuple(self._ids_of(parts)), parts, of_parts, size, room, *joins)

    def edges(self, word: str) -> list[list[Edge]]:
        """Returns the pieces that start at each character of a word, shortest first.

        Where no piece covers a character by itself, its bytes come last.
        """
        rows = []
        for start in range(len(word)):
            row = []
            last = start + self._reach.get(word[start : start + 3], 2)
            for end in range(start + 1, min(len(word), last) + 1):
                if (i := self._ids.get(word[start:end])) is not None:
                    ids = (i if i < self.size else self._unknown_id,)
                    row.append(Edge(start, end, ids, self._scores[i]))
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
