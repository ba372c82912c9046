"""Piece dropout of rows that are not held in the memory, batch by batch."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_transformer.zoo.augmentation.augmented import Augmented
from keras_transformer.zoo.data.batches import NO_TARGET, Batch, Batches, SampledBatches

TARGETS = "targets"
# Pieces for which a batch has room in place of one that is skipped, beside it.
_ROOM = 2
# Rows of the columns of a batch by name, `targets` among them where each row has many.
Encode = Callable[[np.ndarray, np.random.Generator], Mapping[str, Sequence[np.ndarray]]]


class DroppedPieces(Augmented):
    """Training batches whose words are split into pieces anew, see `PieceDropout`.

    A batch has room for two more pieces for each that is skipped on average. A row that has more
    than fit in stays as it is, so that the shapes are the same in every epoch.

    Args:
        batches: batches of ids.
        encode: function from the indices (B,) of rows and a random generator to the rows with other
            pieces.
        rate: probability of skipping a piece.
        longest: maximum number of tokens of a row.
        seed: seed of the run.
    """

    def __init__(
        self, batches: Batches | SampledBatches, encode: Encode, *, rate: float, longest: int,
        seed: int,
    ):  # fmt: skip
        super().__init__(batches, seed)
        self._encode, self._rate, self._longest = encode, rate, longest

    def largest(self) -> tuple[int, int]:
        """Returns the largest shape, see `Batches.largest`."""
        rows, length = super().largest()
        return rows, self._room(length)

    def fingerprint(self) -> str:
        """Identifies the data, as `Batches.fingerprint` does."""
        return f"{super().fingerprint()} {self._rate}"

    def _room(self, length: int) -> int:
        return max(length, min(self._longest, math.ceil(length * (1 + _ROOM * self._rate))))

    def _changed(self, batch: Batch, rng: np.random.Generator) -> Batch:
        drawn = self._encode(batch.index, rng)
        plain = dict(batch.inputs)
        if TARGETS in drawn:
            plain[TARGETS] = batch.targets
        rooms = {name: self._room(plain[name].shape[1]) for name in drawn}
        lengths = {name: np.array([len(row) for row in rows]) for name, rows in drawn.items()}
        fits = np.all([lengths[name] <= room for name, room in rooms.items()], axis=0)
        made = {}
        for name, room in rooms.items():
            array = plain[name]
            padding = NO_TARGET if name == TARGETS else 0
            wider = np.full((len(array), room), padding, array.dtype)
            wider[:, : array.shape[1]] = array
            for row in np.flatnonzero(fits):
                ids = drawn[name][row]
                wider[row] = padding
                wider[row, : len(ids)] = ids
            made[name] = wider
        targets = made.pop(TARGETS, batch.targets)
        return dataclasses.replace(batch, inputs={**batch.inputs, **made}, targets=targets)
