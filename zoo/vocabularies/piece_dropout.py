"""Subword regularization: words are split into different pieces in every epoch."""

import random
from collections.abc import Sequence

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.piece_list import CONTINUATION
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.unigram import Edge, best_path

_Cut = tuple[tuple[int, ...], tuple[Edge, ...]]


class PieceDropout(Tokenizer):
    """A tokenizer that skips each matching piece of a word with some probability.

    For word pieces it then selects the next shorter one; the shortest is never skipped. For
    sentencepiece it selects the most probable segmentation without the skipped pieces, which are
    never single characters. A model sees many segmentations of a word, and learns the meaning of
    its parts (MaxMatch-Dropout, Hiraoka 2022, arXiv:2209.04126).

    Args:
        tokenizer: tokenizer whose pieces are used.
        rate: probability of skipping a matching piece.

    Raises:
        InputError: if the rate is above 0 and the tokenizer does not split words into pieces.
    """

    def __init__(self, tokenizer: Tokenizer, rate: float):
        super().__init__(tokenizer.config, tokenizer.vocabulary)
        samples = {"wordpiece": self._sample_greedy, "sentencepiece": self._sample_best}
        self._sample = samples.get(self.config.kind)
        if rate and self._sample is None:
            raise InputError(
                f"Expected piece_dropout to be 0 for a {self.config.kind} tokenizer, "
                f"got piece_dropout={rate}."
            )
        self.rate = rate
        self._random = random.Random(0)
        self._choices: dict[str, list[list[tuple[int, int]]]] = {}
        self._cuts: dict[str, dict[frozenset[Edge], _Cut]] = {}

    def seed(self, *values: int | str) -> None:
        """Seeds the random choices from here on with the values."""
        self._random.seed(repr(values))

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns each text's ids without special tokens, with new random choices."""
        if not self.rate:
            return super().pieces(texts)
        sample = self._sample
        return [[i for word in self.model.split(text) for i in sample(word)] for text in texts]

    def _sample_greedy(self, word: str) -> Sequence[int]:
        if self.config.is_too_long(word):
            return self.model.match(word)
        if word not in self._choices:
            self._choices[word] = [self._pieces_at(word, start) for start in range(len(word))]
        choices, found, start = self._choices[word], [], 0
        while start < len(word):
            if not choices[start]:
                # A dropped piece led to a position where no piece starts.
                return self.model.match(word)
            # The number of skipped pieces, among those with a shorter alternative.
            place, last = 0, len(choices[start]) - 1
            while place < last and self._random.random() < self.rate:
                place += 1
            start, piece = choices[start][place]
            found.append(piece)
        return found

    def _pieces_at(self, word: str, start: int) -> list[tuple[int, int]]:
        """End and id of every piece that matches at a position, longest first."""
        prefix = CONTINUATION if start else ""
        ends = range(min(len(word), start + self.model.longest), start, -1)
        found = ((end, self.model.piece_ids.get(prefix + word[start:end])) for end in ends)
        return [(end, piece) for end, piece in found if piece is not None]

    def _sample_best(self, word: str) -> Sequence[int]:
        # Only pieces of the current segmentation are drawn: the others have no effect until one of
        # these is skipped.
        dropped, drawn = frozenset(), set()
        while True:
            ids, longer = self._cut_without(word, dropped)
            passed = []
            for edge in longer:
                if edge not in drawn:
                    drawn.add(edge)
                    if self._random.random() < self.rate:
                        passed.append(edge)
            if not passed:
                return ids
            dropped = dropped.union(passed)

    def _cut_without(self, word: str, dropped: frozenset[Edge]) -> _Cut:
        """The ids of the best segmentation, and its pieces of more than one character."""
        cuts = self._cuts.setdefault(word, {})
        if dropped in cuts:
            return cuts[dropped]
        path = best_path(self.model.edges(word), dropped)
        cut = (
            tuple(i for edge in path for i in edge.ids),
            tuple(edge for edge in path if edge.end > edge.start + 1),
        )
        # There are many segmentations without several pieces, and each is rare.
        if len(dropped) < 2:
            cuts[dropped] = cut
        return cut
