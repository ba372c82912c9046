"""Base of the training batches that are changed at random."""

import abc
from collections.abc import Iterator

import numpy as np

from keras_transformer.zoo.data.batches import Batch, Batches, SampledBatches


class Augmented(abc.ABC):
    """Training batches that a subclass changes at random, differently in every epoch.

    The same epoch has the same batches, whichever batch it starts with.

    Args:
        batches: batches to change.
        seed: seed of the run.
    """

    def __init__(self, batches: Batches | SampledBatches, seed: int):
        self._batches, self._seed = batches, seed

    def in_multiples_of(self, rows: int, whole: bool = False) -> None:
        """See `Batches.in_multiples_of`."""
        self._batches.in_multiples_of(rows, whole)

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Yields the shuffled batches of an epoch, starting at batch `start`."""
        for place, batch in enumerate(self._batches.epoch(number, start=start), start=start):
            yield self._changed(batch, np.random.default_rng((self._seed, number, place)))

    def one_of_each_shape(self) -> Iterator[Batch]:
        """Yields a batch of each shape that occurs in the epochs, by ascending length."""
        for batch in self._batches.one_of_each_shape():
            yield self._changed(batch, np.random.default_rng((self._seed,)))

    def largest(self) -> tuple[int, int]:
        """Returns the largest shape, see `Batches.largest`."""
        return self._batches.largest()

    def fingerprint(self) -> str:
        """Identifies the data, as `Batches.fingerprint` does."""
        return self._batches.fingerprint()

    @abc.abstractmethod
    def _changed(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Returns a batch of changed rows, and targets where they change with them."""
