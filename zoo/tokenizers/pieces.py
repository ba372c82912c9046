"""Tokenizer models that split text into pieces and join them: word pieces, bytes, characters."""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from keras_transformer.zoo.tokenizers.normalizers.bert import word_splitter
from keras_transformer.zoo.tokenizers.normalizers.normalize import fold_text
from keras_transformer.zoo.tokenizers.piece_list import (
    CONTINUATION,
    SPECIAL_TOKENS,
    UNK,
    Vocabulary,
)
from keras_transformer.zoo.tokenizers.special import DEFAULT_SPECIAL, SpecialTokens

_CACHED_WORDS = 1 << 16
_NO_SPACE_BEFORE = re.compile(r" (?=[.,!?;:)\]}%])")
_NO_SPACE_AFTER = re.compile(r"(?<=[(\[{]) ")
_NO_SPACE_AROUND = re.compile(r" ?([-'/]) ?")


def spaced(words: str) -> str:
    """Returns words with a space between each two without those that punctuation does not have."""
    joined = _NO_SPACE_AFTER.sub("", _NO_SPACE_BEFORE.sub("", words))
    return _NO_SPACE_AROUND.sub(r"\1", joined)


class WordPieces:
    """Word pieces, matched greedily, longest first (BERT, Devlin et al. 2018).

    A piece that continues a word begins with "##"; a word without a match is unknown.

    Args:
        vocabulary: pieces in the order of their ids.
        is_too_long: whether a word is unknown because of its length.
        special: special tokens of the vocabulary.
        normalization: `bert` for the words of `split_bert_words`; others for `split_words`.
        **fold: arguments of `normalize.fold_text`.
    """

    required: frozenset[int] = frozenset()

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        is_too_long: Callable[[str], bool],
        special: SpecialTokens = DEFAULT_SPECIAL,
        normalization: str = "nfkc",
        **fold: Any,
    ):
        self.piece_ids = vocabulary.check("wordpiece", special=special.names)
        self.size = len(vocabulary)
        self.split = word_splitter(normalization, **fold)
        self.is_too_long = is_too_long
        self.longest = max(map(len, vocabulary))
        self._unknown = (self.piece_ids[special.unk or special.pad],)
        self._pieces = vocabulary.pieces
        # Words repeat: a corpus of 680,000 words has 14,000 distinct ones.
        self.match = functools.lru_cache(_CACHED_WORDS)(self._match)

    def ids(self, text: str) -> list[int]:
        """Returns the ids of a text."""
        return [piece for word in self.split(text) for piece in self.match(word)]

    def text(self, ids: Sequence[int]) -> str:
        """Returns a text with these ids, as far as they determine it.

        Words are joined with one space. None stands before `. , ! ? ; : ) ] } %`, after `( [ {`,
        or on either side of `- ' /`, whichever way the text had it; case and accents that were
        folded stay so. A piece that continues a word and comes first begins one.
        """
        words: list[str] = []
        for i in ids:
            piece = self._pieces[i]
            if not piece.startswith(CONTINUATION) or piece == CONTINUATION:
                words.append(piece)
            elif words:
                words[-1] += piece.removeprefix(CONTINUATION)
            else:
                words.append(piece.removeprefix(CONTINUATION))
        return spaced(" ".join(words))

    def used(self, word: str) -> set[int]:
        """Returns the ids of the pieces that matching a word meets, also of one left unknown."""
        return set() if self.is_too_long(word) else set(self._greedy(word)[0])

    def _match(self, word: str) -> tuple[int, ...]:
        """Splits one word into the ids of its pieces."""
        if self.is_too_long(word):
            return self._unknown
        found, is_whole = self._greedy(word)
        return tuple(found) if is_whole else self._unknown

    def _greedy(self, word: str) -> tuple[list[int], bool]:
        """The ids of the longest pieces up to where none matches, and whether that is the end."""
        found: list[int] = []
        start, prefix = 0, ""
        while start < len(word):
            end = min(len(word), start + self.longest)
            while end > start and prefix + word[start:end] not in self.piece_ids:
                end -= 1
            if end == start:
                return found, False
            found.append(self.piece_ids[prefix + word[start:end]])
            start, prefix = end, CONTINUATION
        return found, True


class Bytes:
    """The 256 bytes of UTF-8, after the five special tokens.

    Args:
        **fold: arguments of `normalize.fold_text`.
    """

    def __init__(self, **fold: Any):
        self.piece_ids = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
        self.size = len(SPECIAL_TOKENS) + 256
        self._fold = fold

    def fold(self, text: str) -> str:
        """Returns the folded text, whose bytes are the pieces."""
        return fold_text(text, **self._fold)

    def ids(self, text: str) -> list[int]:
        """Returns the ids of a text."""
        first = len(SPECIAL_TOKENS)
        return [first + byte for byte in self.fold(text).encode()]

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of the bytes; invalid UTF-8 becomes U+FFFD."""
        return bytes(i - len(SPECIAL_TOKENS) for i in ids).decode(errors="replace")


class Characters:
    """Characters as pieces, including spaces and line breaks; an unlisted one is [UNK].

    Args:
        vocabulary: characters in the order of their ids.
        **fold: arguments of `normalize.fold_text`.
    """

    required: frozenset[int] = frozenset()

    def __init__(self, vocabulary: Vocabulary, **fold: Any):
        self.piece_ids = vocabulary.check("characters")
        self.size = len(vocabulary)
        self._pieces = vocabulary.pieces
        self._fold = fold

    def fold(self, text: str) -> str:
        """Returns the text whose characters are the pieces."""
        return fold_text(text, **self._fold)

    def split(self, text: str) -> list[str]:
        """Returns the characters."""
        return list(self.fold(text))

    def used(self, character: str) -> set[int]:
        """Returns the id of a character, if it has one."""
        return {self.piece_ids[character]} if character in self.piece_ids else set()

    def ids(self, text: str) -> list[int]:
        """Returns the ids of a text."""
        unknown = self.piece_ids[UNK]
        return [self.piece_ids.get(c, unknown) for c in self.fold(text)]

    def text(self, ids: Sequence[int]) -> str:
        """Returns the characters in one string."""
        return "".join(self._pieces[i] for i in ids)
