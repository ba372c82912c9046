"""Batches of rows of similar length, which keep the padding small."""

import functools
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_transformer.zoo.columns.ragged import Fixed, Ragged, column
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import InputSpec

MAX_EDGES = 8
# The fixed cost of a step, as a fraction of the cost of a full batch's tokens.
STEP_OVERHEAD = 0.125
MAX_CANDIDATES = 256
# A position without a target: losses and metrics ignore it.
NO_TARGET = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Rows padded to one length in each column: inputs as in their specs, targets with `NO_TARGET`.

    Attributes:
        inputs: arrays (B, ...) by column name; ids are (B, T) int32.
        targets: targets of the rows: (B,), ids (B, T) where each row has many, numbers (B, N) that
            form one target together, or None.
        index: indices (B,) of the rows in the data, int64.
    """

    inputs: Mapping[str, np.ndarray]
    targets: np.ndarray | None
    index: np.ndarray

    @property
    def num_targets(self) -> int:
        """Number of targets in the batch: rows, or positions that have one."""
        if self.targets is None or self.targets.ndim == 1 or self.targets.dtype.kind == "f":
            return len(self.index)
        return int(np.count_nonzero(self.targets != NO_TARGET))


class Batches:
    """Rows in buckets by length; every batch of a bucket has the same padded lengths.

    Args:
        columns: rows by the name of the model's input. The length of a row is that of its longest
            column.
        targets: targets (rows,), floats (rows, N), one array of ids for each row, or None.
        specs: specs of the columns; by default token ids, int32 of any length, padded with 0.
        batch_tokens: maximum number of tokens of a batch in a column, padding included; a batch
            has at least one row.
        bucket: divisor of the padded lengths (except the longest row's length); at most eight are
            chosen so that the epoch computes as few tokens and steps as possible. None pads every
            row to the longest.
        padded_to: length to which every row is padded instead.
        seed: seed, together with the epoch's number, of the order of rows and batches.
        rows: indices of the rows that the batches hold, each so often as it is there; by default
            each once. They change no padded length.

    Attributes:
        edges: padded lengths of the buckets, ascending.
    """

    def __init__(
        self,
        columns: Mapping[str, Sequence[np.ndarray]],
        targets: np.ndarray | Sequence[np.ndarray] | None = None,
        *,
        specs: Sequence[InputSpec] = (),
        batch_tokens: int,
        bucket: int | None = 4,
        padded_to: int | None = None,
        seed: int = 0,
        rows: np.ndarray | None = None,
    ):
        known = {spec.name: spec for spec in specs}
        self._columns = {
            name: column(rows, known.get(name, InputSpec(name=name)))
            for name, rows in columns.items()
        }
        is_ragged = targets is not None and not isinstance(targets, np.ndarray)
        if is_ragged:
            targets = Ragged.of(targets, InputSpec(name="targets", padding=NO_TARGET))
        self._targets = targets
        num_rows = len(next(iter(columns.values())))
        if not num_rows:
            raise InputError("Expected at least one row to make batches of, got none.")
        num_targets = None if targets is None else len(targets)
        if num_targets not in (None, num_rows):
            raise ValueError(
                f"Expected one target a row, got {num_targets} targets and {num_rows} rows."
            )
        parts = [*self._columns.values(), *([self._targets] if is_ragged else [])]
        self._lengths = functools.reduce(np.maximum, [part.lengths for part in parts])
        for name, value in (("batch_tokens", batch_tokens), ("bucket", bucket)):
            if value is not None and value < 1:
                raise InputError(f"Expected {name} to be at least 1, got {name}={value}.")
        longest = max(1, int(self._lengths.max()))
        if padded_to is not None and padded_to < longest:
            raise InputError(
                f"Expected padded_to to be at least the longest row's {longest} tokens, "
                f"got padded_to={padded_to}."
            )
        self._seed = seed
        self._multiple = bucket if padded_to is None else None
        if padded_to is not None:
            self.edges = [padded_to]
        elif bucket is None:
            self.edges = [longest]
        else:
            self.edges = _choose_edges(self._lengths, batch_tokens, bucket)
        buckets = self._by_length(None)
        self._own_widths = {
            edge: {part: self._width(part, rows_of, edge) for part in parts}
            for edge, rows_of in buckets.items()
        }
        self._rows = rows
        self._buckets = buckets if rows is None else self._by_length(rows)
        self._batch_tokens = batch_tokens
        self.in_multiples_of(1)

    def _by_length(self, rows: np.ndarray | None) -> dict[int, np.ndarray]:
        """The given rows, or all, of each bucket that has any, by ascending length."""
        lengths = self._lengths if rows is None else self._lengths[rows]
        # Of many millions of rows, indices are most of what is in memory.
        short = np.int32 if len(self._lengths) <= np.iinfo(np.int32).max else np.int64
        order = np.argsort(lengths, kind="stable").astype(short)
        ends = np.searchsorted(lengths[order], self.edges, side="right")
        places = order if rows is None else rows[order].astype(short)
        found = zip(self.edges, np.split(places, ends[:-1]), strict=True)
        return {edge: part for edge, part in found if len(part)}

    def _width(self, part: Ragged | Fixed, rows: np.ndarray, edge: int) -> int:
        """Padded length of a column in a bucket: its longest row there, rounded up."""
        if self._multiple is None or not len(rows):
            return edge
        longest = max(1, int(part.lengths[rows].max()))
        if longest == self._lengths[rows].max():
            return edge
        return min(edge, -(-longest // self._multiple) * self._multiple)

    def in_multiples_of(self, rows: int, whole: bool = False) -> None:
        """Makes the rows of every batch, but one of each bucket, a multiple of a number.

        Args:
            rows: the number.
            whole: whether each bucket but the last has batches of one number of rows, which are
                full; the rows that it leaves, others in each epoch, join those of the next bucket.
        """
        self._rows_multiple, self._is_whole = rows, whole
        self._num_batches, left = {}, 0
        for edge, places in self._buckets.items():
            full, count = self._full(edge), left + len(places)
            self._num_batches[edge] = -(-count // full)
            if whole and edge != max(self._buckets):
                self._num_batches[edge], left = divmod(count, full)
        self._widths = self._own_widths
        if whole:
            # A row of a shorter bucket may be the longest of a column.
            widest = itertools.accumulate(self._own_widths.values(), _larger)
            self._widths = dict(zip(self._own_widths, widest, strict=True))

    def _full(self, edge: int) -> int:
        """Number of rows of a full batch of a bucket."""
        multiple = self._rows_multiple
        return max(multiple, self._batch_tokens // edge // multiple * multiple)

    def __len__(self) -> int:
        """Number of batches in an epoch, the same in every epoch."""
        return sum(self._num_batches.values())

    def largest(self) -> tuple[int, int]:
        """Returns the number of rows and the padded length of the batch of the most tokens."""
        return max(((len(rows), edge) for rows, edge in self._plan(self._buckets)), key=math.prod)

    def fingerprint(self) -> str:
        """Returns a hash of everything that determines the batches of every epoch."""
        plan = f"{self._seed} {self.edges} {list(self._num_batches.values())}"
        plan += f" {self._rows_multiple}" if self._rows_multiple > 1 else ""
        plan += " whole" if self._is_whole else ""
        digest = hashlib.sha256(plan.encode())
        if self._rows is not None:
            digest.update(np.ascontiguousarray(self._rows))
        for name, part in [*self._columns.items(), ("targets", self._targets)]:
            digest.update(name.encode())
            if isinstance(part, Ragged | Fixed):
                digest.update(part.digest())
            elif part is not None:
                digest.update(np.ascontiguousarray(part))
        return digest.hexdigest()

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Yields the shuffled batches of an epoch, starting at batch `start`."""
        rng = np.random.default_rng((self._seed, number))
        buckets = {edge: rng.permutation(rows) for edge, rows in self._buckets.items()}
        plan = self._plan(buckets, rng)
        order = rng.permutation(len(plan))
        return (self._batch(*plan[i]) for i in order[start:])

    def one_of_each_shape(self) -> Iterator[Batch]:
        """Yields a batch of each shape that occurs in the epochs, by ascending length."""
        shapes = {(len(rows), edge): rows for rows, edge in self._plan(self._buckets)}
        return (self._batch(rows, edge) for (_, edge), rows in shapes.items())

    def in_order(self) -> Iterator[Batch]:
        """Yields every row once, by ascending length; `index` puts results back in order."""
        return (self._batch(rows, edge) for rows, edge in self._plan(self._buckets))

    def _plan(
        self, buckets: Mapping[int, np.ndarray], rng: np.random.Generator | None = None
    ) -> list[tuple[np.ndarray, int]]:
        plan, left = [], np.zeros(0, np.int32)
        for edge, rows in buckets.items():
            count = self._num_batches[edge]
            if self._is_whole:
                # Rows that came from a shorter bucket stay, and as many of its own leave it.
                rows = np.concatenate([left, rows])
                kept = len(rows) if edge == max(buckets) else count * self._full(edge)
                rows, left = rows[:kept], rows[kept:]
                rows = rows if rng is None else rng.permutation(rows)
            plan += [(part, edge) for part in self._parts(rows, count)] if count else []
        return plan

    def _parts(self, rows: np.ndarray, count: int) -> list[np.ndarray]:
        # Even parts rather than full ones and a remainder: no step uses the gradient of one row.
        starts = np.arange(0, len(rows), self._rows_multiple)
        if self._is_whole and self._rows_multiple > 1:
            # Two numbers of rows at most, not two multiples and a remainder.
            size = -(-len(starts) // count) * self._rows_multiple
            return np.split(rows, np.arange(size, len(rows), size))
        return np.split(rows, [part[0] for part in np.array_split(starts, count)][1:])

    def _batch(self, rows: np.ndarray, edge: int) -> Batch:
        def padded(part: Ragged | Fixed) -> np.ndarray:
            return part.pad(rows, self._widths[edge][part])

        targets = self._targets
        if isinstance(targets, Ragged):
            targets = padded(targets)
        elif targets is not None:
            targets = targets[rows]
        inputs = {name: padded(part) for name, part in self._columns.items()}
        return Batch(inputs=inputs, targets=targets, index=rows.astype(np.int64))


class SampledBatches:
    """Batches like those of `Batches`, of rows that are sampled again in every epoch.

    Their number may differ a little between epochs; `len` is that of the first.

    Args:
        sample: function from an epoch's number to its batches, the same for the same number.
    """

    def __init__(self, sample: Callable[[int], Batches]):
        self._sample = sample
        self._first = sample(0)
        self._multiple = 1, False

    def __len__(self) -> int:
        return len(self._first)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Yields the shuffled batches of an epoch, starting at batch `start`."""
        batches = self._sample(number)
        batches.in_multiples_of(*self._multiple)
        return batches.epoch(number, start=start)

    def one_of_each_shape(self) -> Iterator[Batch]:
        """Yields a batch of each shape of the first epoch."""
        return self._first.one_of_each_shape()

    def in_multiples_of(self, rows: int, whole: bool = False) -> None:
        """See `Batches.in_multiples_of`; to be called before an epoch."""
        self._multiple = rows, whole
        self._first.in_multiples_of(rows, whole)

    def largest(self) -> tuple[int, int]:
        """Returns the largest shape of the first epoch."""
        return self._first.largest()

    def fingerprint(self) -> str:
        """Identifies the data, as `Batches.fingerprint` does."""
        return self._first.fingerprint()


def _larger(one: Mapping[Any, int], other: Mapping[Any, int]) -> dict[Any, int]:
    return {part: max(width, one[part]) for part, width in other.items()}


def _choose_edges(lengths: np.ndarray, batch_tokens: int, bucket: int) -> list[int]:
    """Chooses padded lengths by dynamic programming over the lengths that occur."""
    longest = max(1, int(lengths.max()))
    step = bucket * -(-longest // (bucket * MAX_CANDIDATES))
    # No edge exceeds the longest row: the model may have no positions beyond it.
    rounded = np.clip(-(-lengths // step) * step, 1, longest)
    candidates, counts = np.unique(rounded, return_counts=True)
    total = np.concatenate(([0], np.cumsum(counts)))
    rows = total[None, 1:] - total[:-1, None]
    steps = -(-rows // np.maximum(1, batch_tokens // candidates))
    # cost[i, j]: candidates i to j padded to candidate j.
    cost = rows * candidates + STEP_OVERHEAD * batch_tokens * steps
    cost[np.tril_indices(len(candidates), -1)] = np.inf
    best, paths = cost[0], [[j] for j in range(len(candidates))]
    for _ in range(min(MAX_EDGES, len(candidates)) - 1):
        longer = best[:-1, None] + cost[1:]
        previous = longer.argmin(axis=0)
        reached = longer[previous, np.arange(len(candidates))]
        paths = [
            [*paths[previous[j]], j] if reached[j] < best[j] else paths[j]
            for j in range(len(candidates))
        ]
        best = np.minimum(best, reached)
    return [int(candidates[j]) for j in paths[-1]]
