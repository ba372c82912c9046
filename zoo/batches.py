"""Batches of rows of like length, so that little is computed on padding."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizer import Encoded

MAX_EDGES = 8
# A step costs about as much as this part of a full batch's tokens before it computes any.
STEP_OVERHEAD = 0.125
MAX_CANDIDATES = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Rows padded with id 0 to one length.

    Attributes:
        ids: (B, T) int32.
        segment_ids: (B, T) int32.
        targets: (B,) targets of the rows, or None.
        index: (B,) int64 numbers of the rows in the encoded texts.
    """

    ids: np.ndarray
    segment_ids: np.ndarray
    targets: np.ndarray | None
    index: np.ndarray


class Batches:
    """Encoded rows in buckets by length; every batch of a bucket has the same padded length.

    Args:
        encoded: The rows.
        targets: (rows,) targets, or None.
        batch_tokens: A batch holds at most this many tokens, padding included, but at least a row.
        bucket: Padded lengths are multiples of this (or the longest row's length); at most eight
            are chosen such that the epoch computes as few tokens and steps as possible. None pads
            every row to the longest.
        padded_to: Pad every row to this length instead.
        seed: Decides, with the epoch's number, the order of rows and batches.

    Attributes:
        edges: Padded lengths of the buckets, ascending.
    """

    def __init__(
        self,
        encoded: Encoded,
        targets: np.ndarray | None,
        *,
        batch_tokens: int,
        bucket: int | None = 4,
        padded_to: int | None = None,
        seed: int = 0,
    ):
        if not encoded.ids:
            raise InputError("Expected at least one row to make batches of, got none.")
        if targets is not None and len(targets) != len(encoded.ids):
            raise ValueError(
                f"Expected one target a row, got {len(targets)} targets and "
                f"{len(encoded.ids)} rows."
            )
        for name, value in (("batch_tokens", batch_tokens), ("bucket", bucket)):
            if value is not None and value < 1:
                raise InputError(f"Expected {name} to be at least 1, got {name}={value}.")
        self._lengths = np.array([len(row) for row in encoded.ids], dtype=np.int64)
        longest = max(1, int(self._lengths.max()))
        if padded_to is not None and padded_to < longest:
            raise InputError(
                f"Expected padded_to to be at least the longest row's {longest} tokens, "
                f"got padded_to={padded_to}."
            )
        self._starts = np.concatenate(([0], np.cumsum(self._lengths)))[:-1]
        # One spare element: an all-empty set of rows still has something to gather.
        self._ids = np.concatenate([*encoded.ids, [0]]).astype(np.int32)
        self._segment_ids = np.concatenate([*encoded.segment_ids, [0]]).astype(np.int32)
        self._targets = targets
        self._seed = seed
        if padded_to is not None:
            self.edges = [padded_to]
        elif bucket is None:
            self.edges = [longest]
        else:
            self.edges = _choose_edges(self._lengths, batch_tokens, bucket)
        by_length = np.argsort(self._lengths, kind="stable")
        ends = np.searchsorted(self._lengths[by_length], self.edges, side="right")
        self._buckets = np.split(by_length, ends[:-1])
        self._num_batches = [
            _num_batches(len(rows), edge, batch_tokens)
            for rows, edge in zip(self._buckets, self.edges, strict=True)
        ]

    def __len__(self) -> int:
        """Batches in an epoch: the same in every one."""
        return sum(self._num_batches)

    def fingerprint(self) -> str:
        """Returns a hash of all that decides the batches of every epoch."""
        digest = hashlib.sha256(f"{self._seed} {self.edges} {self._num_batches}".encode())
        for array in (self._lengths, self._ids, self._segment_ids, self._targets):
            if array is not None:
                digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Yields the shuffled batches of an epoch from batch `start` on."""
        rng = np.random.default_rng((self._seed, number))
        plan = self._plan([rng.permutation(rows) for rows in self._buckets])
        order = rng.permutation(len(plan))
        return (self._batch(*plan[i]) for i in order[start:])

    def one_of_each_shape(self) -> Iterator[Batch]:
        """Yields a batch of each shape that the epochs have, by ascending length."""
        shapes = {(len(rows), edge): rows for rows, edge in self._plan(self._buckets)}
        return (self._batch(rows, edge) for (_, edge), rows in shapes.items())

    def in_order(self) -> Iterator[Batch]:
        """Yields every row once, by ascending length; `index` puts results back in order."""
        return (self._batch(rows, edge) for rows, edge in self._plan(self._buckets))

    def _plan(self, buckets: list[np.ndarray]) -> list[tuple[np.ndarray, int]]:
        # Even parts rather than full ones and a remainder: no step follows a gradient of one row.
        return [
            (part, edge)
            for rows, edge, parts in zip(buckets, self.edges, self._num_batches, strict=True)
            for part in np.array_split(rows, parts)
        ]

    def _batch(self, rows: np.ndarray, edge: int) -> Batch:
        columns = np.arange(edge)
        inside = columns < self._lengths[rows][:, None]
        places = np.where(inside, self._starts[rows][:, None] + columns, -1)
        return Batch(
            ids=np.where(inside, self._ids[places], np.int32(0)),
            segment_ids=np.where(inside, self._segment_ids[places], np.int32(0)),
            targets=None if self._targets is None else self._targets[rows],
            index=rows,
        )


def _num_batches(rows: int, edge: int, batch_tokens: int) -> int:
    return -(-rows // max(1, batch_tokens // edge))


def _choose_edges(lengths: np.ndarray, batch_tokens: int, bucket: int) -> list[int]:
    """Chooses padded lengths by dynamic programming over the lengths that occur."""
    longest = max(1, int(lengths.max()))
    step = bucket * -(-longest // (bucket * MAX_CANDIDATES))
    # No edge passes the longest row: the model may have no position beyond it.
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
