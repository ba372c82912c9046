"""Choice of the pieces that a model is to restore, and what stands in their place."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.masking.words import WordRules
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

# Shares of the chosen pieces that are [MASK], and that are another piece; the rest is kept.
MASKED, OTHERS = 0.8, 0.1


def most_masked(share: float, length: int) -> int:
    """Returns the largest number of pieces that are chosen among so many."""
    return max(1, round(share * length))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Masking:
    """Draws words of rows, all pieces of a word together, up to a share of the pieces of a row.

    Devlin et al. 2019, arXiv:1810.04805, section 3.1; whole words as in their repository. A word
    that would exceed the share ends the drawing.

    Attributes:
        tokenizer: tokenizer of the rows.
        share: share of the pieces.

    Raises:
        InputError: if the tokenizer has no [MASK].
    """

    tokenizer: Tokenizer
    share: float

    def __post_init__(self):
        mask_id(self.tokenizer)

    def masked(
        self, rows: Sequence[np.ndarray], rng: np.random.Generator, *, always: bool = False
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Hides drawn words: 80 % of their pieces are [MASK], 10 % any other, 10 % as they are.

        Args:
            rows: ids (T,) of each row, special tokens included.
            rng: random generator.
            always: whether all drawn pieces are [MASK].

        Returns:
            The ids (T,) of each row, and the targets: the pieces that were drawn, `NO_TARGET`
            elsewhere.
        """
        ids, ends, chosen = self._drawn(rows, rng)
        kind = rng.random(len(ids))
        others = rng.choice(self._ordinary, len(ids))
        hidden = np.where(kind < MASKED + OTHERS, others, ids)
        hidden = np.where((kind < MASKED) | always, self._mask_id, hidden).astype(np.int32)
        found = np.where(chosen, hidden, ids), np.where(chosen, ids, np.int32(NO_TARGET))
        return _split(found[0], ends), _split(found[1], ends)

    def replaced(
        self, rows: Sequence[np.ndarray], rng: np.random.Generator
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Replaces all pieces of drawn words by other pieces, as frequent as the rows have them.

        Args:
            rows, rng: see `masked`.

        Returns:
            The ids (T,) of each row, and the targets: 1 + the id of a piece that was replaced, 0
            where one was not, `NO_TARGET` at special tokens.
        """
        ids, ends, chosen = self._drawn(rows, rng)
        is_special = self._rules.is_special[ids]
        known = ids[~is_special]
        others = rng.choice(known, len(ids)) if len(known) else ids
        again = rng.choice(self._ordinary, len(ids))
        others = np.where(others == ids, again, others)
        chosen = chosen & (others != ids)
        targets = np.where(chosen, 1 + ids, np.where(is_special, NO_TARGET, 0)).astype(np.int32)
        return _split(np.where(chosen, others, ids).astype(np.int32), ends), _split(targets, ends)

    def _drawn(self, rows, rng):
        """All ids (N,), the ends of the rows among them, and which are drawn."""
        ids = np.concatenate(rows).astype(np.int32)
        lengths = np.array([len(row) for row in rows])
        ends = np.cumsum(lengths)
        row_of = np.repeat(np.arange(len(rows)), lengths)
        words = self._rules.numbers(ids, (ends - lengths)[lengths > 0])
        is_real = ~self._rules.is_special[ids]
        sizes = np.bincount(words)
        rows_of_words = np.zeros(len(sizes), np.int64)
        rows_of_words[words] = row_of
        may = np.zeros(len(sizes), bool)
        may[words] = is_real
        order = np.lexsort((rng.random(len(sizes)), rows_of_words))
        order = order[may[order]]
        totals = np.cumsum(sizes[order])
        counts = np.bincount(row_of[is_real], minlength=len(rows))
        before = np.concatenate(([0], np.cumsum(counts)))[rows_of_words[order]]
        most = np.maximum(1, np.round(self.share * counts))[rows_of_words[order]]
        is_drawn = np.zeros(len(sizes), bool)
        is_drawn[order] = totals - before <= most
        chosen = is_drawn[words]
        # A row of words that are all longer than the share has a single piece.
        left = (counts > 0) & (np.bincount(row_of[chosen], minlength=len(rows)) == 0)
        for row in np.flatnonzero(left):
            chosen[rng.choice(np.flatnonzero((row_of == row) & is_real))] = True
        return ids, ends, chosen

    @functools.cached_property
    def _rules(self) -> WordRules:
        return WordRules(self.tokenizer)

    @functools.cached_property
    def _ordinary(self) -> np.ndarray:
        return np.flatnonzero(~self._rules.is_special).astype(np.int32)

    @functools.cached_property
    def _mask_id(self) -> np.int32:
        return np.int32(mask_id(self.tokenizer))


def mask_id(tokenizer: Tokenizer) -> int:
    """Returns the id of [MASK].

    Raises:
        InputError: if the tokenizer has none.
    """
    name = tokenizer.config.special.mask
    if name is None:
        raise InputError("Expected a tokenizer with a token for masked words, got one without.")
    return tokenizer.model.piece_ids[name]


def _split(values: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    return np.split(values, ends[:-1])
