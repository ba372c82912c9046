"""Batches of pairs or triplets of rows that a model reads one by one."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from keras_transformer.zoo.data.batches import Batch, Batches
from keras_transformer.zoo.modalities.modality import InputSpec

_PLACES = ("", "second ", "third ")


class PairBatches:
    """Batches like those of `Batches`, whose inputs (2 B, ...) are first rows, then second ones.

    Third rows, if there are any, follow: (3 B, ...).

    Args:
        columns: rows by the name of the model's input: all first rows, then all second ones, ...
        targets: targets (pairs,).
        specs: specs of the columns.
        batch_tokens: maximum number of tokens of a batch, of all rows together.
        bucket, seed, rows: see `Batches`; those of pairs.
    """

    def __init__(
        self, columns: Mapping[str, Sequence[np.ndarray]], targets: np.ndarray, *,
        specs: Sequence[InputSpec], batch_tokens: int, bucket: int | None = 4, seed: int = 0,
        rows: np.ndarray | None = None,
    ):  # fmt: skip
        self._specs = tuple(specs)
        count = len(targets)
        self._parts = _PLACES[: len(next(iter(columns.values()))) // max(1, count)]
        together = {
            part + name: rows[place * count : (place + 1) * count]
            for place, part in enumerate(self._parts) for name, rows in columns.items()
        }  # fmt: skip
        every = [
            dataclasses.replace(spec, name=part + spec.name)
            for part in self._parts for spec in specs
        ]  # fmt: skip
        self._pairs = Batches(
            together, targets, specs=every, batch_tokens=max(1, batch_tokens // len(self._parts)),
            bucket=bucket, seed=seed, rows=rows,
        )  # fmt: skip

    def in_multiples_of(self, rows: int, whole: bool = False) -> None:
        """See `Batches.in_multiples_of`."""
        self._pairs.in_multiples_of(rows, whole)

    def __len__(self) -> int:
        return len(self._pairs)

    def largest(self) -> tuple[int, int]:
        """Returns the number of rows and the padded length of the batch of the most tokens."""
        pairs, length = self._pairs.largest()
        return len(self._parts) * pairs, length

    def fingerprint(self) -> str:
        """Identifies the data, as `Batches.fingerprint` does."""
        return self._pairs.fingerprint()

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Yields the shuffled batches of an epoch, starting at batch `start`."""
        return map(self._joined, self._pairs.epoch(number, start=start))

    def one_of_each_shape(self) -> Iterator[Batch]:
        """Yields a batch of each shape that occurs in the epochs."""
        return map(self._joined, self._pairs.one_of_each_shape())

    def _joined(self, batch: Batch) -> Batch:
        inputs = {}
        for spec in self._specs:
            parts = [batch.inputs[part + spec.name] for part in self._parts]
            if spec.is_variable:
                width = max(part.shape[1] for part in parts)
                parts = [spec.fit(part, width) for part in parts]
            inputs[spec.name] = np.concatenate(parts)
        return dataclasses.replace(batch, inputs=inputs)
