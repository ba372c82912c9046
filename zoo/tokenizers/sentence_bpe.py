"""SentencePiece's BPE: characters of a whole text, merged into pieces of a vocabulary."""

import functools
import re
from array import array
from collections.abc import Sequence

from keras_transformer.zoo.tokenizers.byte_bpe import split_around
from keras_transformer.zoo.tokenizers.marked import SPACE, Marker
from keras_transformer.zoo.tokenizers.merges import merge
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

_CACHED_WORDS = 1 << 16
# A word with the run of spaces before it, or a run of spaces at the end.
_WORDS = re.compile(f"{SPACE}*[^{SPACE}]+|{SPACE}+")
# A piece that goes on behind a space.
_ACROSS = re.compile(f"[^{SPACE}]{SPACE}")


class SentenceBPE:
    """Characters, merged in the order of the vocabulary's merges or of its pieces' scores.

    A space is "▁". A character outside the vocabulary becomes its UTF-8 bytes, or the unknown token
    for a run of them.

    Args:
        vocabulary: pieces in the order of their ids, with scores or merges.
        config: settings of kind `sentencepiece_bpe`.
    """

    def __init__(self, vocabulary: Vocabulary, config: TokenizerConfig):
        special = config.special
        added = config.added or ()
        names = special.names + added
        self.piece_ids = vocabulary.check(
            "sentencepiece_bpe", special=names, has_bytes=bool(config.byte_fallback)
        )
        self.size = len(vocabulary)
        self._marker = Marker(vocabulary.charsmap, config)
        self._added = split_around(added)
        # Where nothing is unknown no token is.
        self._unknown = self.piece_ids[special.unk or special.pad]
        bytes_ = BYTE_PIECES if config.byte_fallback else ()
        self._byte_ids = [self.piece_ids[piece] for piece in bytes_]
        # The text of each id.
        self._bytes = [piece.encode() for piece in vocabulary]
        for byte, i in enumerate(self._byte_ids):
            self._bytes[i] = bytes([byte])
        hidden = {*special.names, *bytes_}
        self._ids = {piece: i for piece, i in self.piece_ids.items() if piece not in hidden}
        pieces = vocabulary.pieces
        self._ranks: dict = {}
        if vocabulary.merges:
            pairs = ((pieces[left], pieces[right]) for left, right in vocabulary.merges)
            self._ranks = {pair: rank for rank, pair in enumerate(pairs)}
            self._rank = self._rank_of_pair
        else:
            scores = array("f", vocabulary.scores)
            frozen = {*hidden, *added}
            self._ranks = {
                piece: -scores[i] for piece, i in self._ids.items()
                if scores[i] != float("-inf") and piece not in frozen
            }  # fmt: skip
            self._rank = self._rank_of_joined
        self.required = frozenset((*self._byte_ids, *(self.piece_ids[one] for one in added)))
        self._splits = not any(_ACROSS.search(piece) for piece in self._ids)
        # Words repeat: a corpus of 700,000 words has 35,000 distinct ones.
        self.match = functools.lru_cache(_CACHED_WORDS)(self._match)

    def fold(self, text: str) -> str:
        """Returns the text that `text(ids(...))` restores."""
        marked = self._marker.mark(text).replace(SPACE, " ")
        return marked[self._marker.has_prefix and len(marked) > 0 :]

    def split(self, text: str) -> list[str]:
        """Returns the parts, which are matched one by one."""
        marked = self._marker.mark(text)
        if self._added is None:
            return self._parts(marked)
        runs = enumerate(self._added.split(marked))
        # Every second is an added piece.
        return [part for i, run in runs for part in ([run] if i % 2 else self._parts(run))]

    def _parts(self, marked: str) -> list[str]:
        if self._splits:
            return _WORDS.findall(marked)
        return [marked] if marked else []

    def ids(self, text: str) -> list[int]:
        """Returns the ids of a text."""
        return [piece for part in self.split(text) for piece in self.match(part)]

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of the pieces; invalid UTF-8 becomes U+FFFD."""
        joined = b"".join(self._bytes[i] for i in ids).decode(errors="replace")
        text = joined.replace(SPACE, " ")
        return text.removeprefix(" ") if self._marker.has_prefix else text

    def used(self, part: str) -> set[int]:
        """Returns the ids of the pieces of a part, and of those that are merged further."""
        made: set[str] = set()
        return {*self._match(part, made), *(self.piece_ids[piece] for piece in made)}

    def _match(self, part: str, made: set[str] | None = None) -> tuple[int, ...]:
        if self._added is not None and self._added.fullmatch(part):
            return (self.piece_ids[part],)
        found: list[int] = []
        was_unknown = False
        for piece in merge(list(part), self._rank, made):
            known = self._ids.get(piece)
            if known is not None:
                found.append(known)
            elif self._byte_ids:
                found += [self._byte_ids[byte] for byte in piece.encode()]
            elif not was_unknown:
                found.append(self._unknown)
            was_unknown = known is None
        return tuple(found)

    def _rank_of_pair(self, left: str, right: str) -> float | None:
        return self._ranks.get((left, right))

    def _rank_of_joined(self, left: str, right: str) -> float | None:
        return self._ranks.get(left + right)
