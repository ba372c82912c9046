"""Encoding of many rows by several processes, into files that are mapped."""

import abc
import collections
import contextlib
import dataclasses
import functools
import hashlib
import os
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_transformer.zoo.columns.pages import give_back
from keras_transformer.zoo.columns.texts import Texts
from keras_transformer.zoo.modalities.modality import Features, InputSpec, Modality
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.prepared.store import Store
from keras_transformer.zoo.prepared.writers import ArrayWriter, RowsWriter, mapped, read_rows
from keras_transformer.zoo.worker import Worker

# Texts that a process encodes at a time, and their size in bytes, about.
PART, _PART_BYTES = 20_000, 1 << 21
_MOST_IDS = 1 << 16

# Values of further rows of each input, their lengths, and whether each row was truncated.
_Part = tuple[dict[str, tuple[np.ndarray, np.ndarray]], np.ndarray]


class Job(abc.ABC):
    """What encodes texts: it is sent to other processes, and makes there what it needs.

    Subclasses are dataclasses of files and settings.

    Attributes:
        vocab_size: number of different ids; 0 where rows have none.
    """

    vocab_size: int

    @abc.abstractmethod
    def encode(self, *columns: list[str]) -> tuple[Mapping[str, Sequence[np.ndarray]], Sequence]:
        """Returns the rows of each input by name, and whether each was truncated."""

    @abc.abstractmethod
    def key(self) -> Any:
        """Returns all that determines what it does, as JSON."""


def are_prepared(columns: Sequence[Sequence[Any]]) -> bool:
    """Whether columns are those of prepared tables, which `encoded` takes."""
    return all(isinstance(column, Texts) and column.key for column in columns)


def hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Returns the SHA-256 of each of a job's files, for its `key`."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


@dataclasses.dataclass(frozen=True)
class EncodeRows(Job):
    """Encodes rows, or pairs of rows, as a modality does.

    Attributes:
        name, max_length, settings, files: of the modality.
        vocab_size: see `Job`.
    """

    name: str
    max_length: int
    settings: Mapping[str, Any]
    files: Mapping[str, bytes]
    vocab_size: int

    @classmethod
    def of(cls, modality: Modality) -> Self:
        """Returns the job of a modality."""
        vocab_size = 0 if modality.text is None else modality.text.tokenizer.vocab_size
        settings = dict(modality.settings)
        return cls(modality.name, modality.max_length, settings, modality.files(), vocab_size)

    @functools.cached_property
    def _modality(self) -> Modality:
        return modality_named(self.name).from_files(
            self.files, max_length=self.max_length, settings=self.settings
        )

    def encode(self, *columns: list[str]) -> Features:
        return self._modality.encode(*columns)

    def key(self) -> Any:
        return [self.name, self.max_length, self.settings, hashes(self.files)]


def encoded(
    store: Store, job: Job, columns: Sequence[Texts], specs: Sequence[InputSpec], *,
    progress: Callable[[int], None], at_a_time: int = PART,
) -> Features:  # fmt: skip
    """Returns encoded rows, which are prepared unless that was done before.

    Args:
        store: where.
        job: what encodes them.
        columns: texts with keys, of one length.
        specs: specs of the inputs.
        progress: receives the number of rows that are encoded.
        at_a_time: number of rows that a process encodes at a time, at most.
    """
    is_short = 0 < job.vocab_size <= _MOST_IDS
    dtypes = {
        spec.name: "uint16" if is_short and spec.dtype == "int32" else spec.dtype for spec in specs
    }
    key = {
        "rows": [column.key for column in columns], "job": [type(job).__name__, job.key()],
        "inputs": dtypes,
    }  # fmt: skip

    def write(folder: Path) -> None:
        done = 0
        with contextlib.ExitStack() as opened:
            writers = {
                spec.name: opened.enter_context(
                    contextlib.closing(RowsWriter(folder, spec, dtypes[spec.name]))
                )
                for spec in specs
            }
            truncated = ArrayWriter(folder / "truncated", "bool")
            opened.enter_context(contextlib.closing(truncated))
            encoders = opened.enter_context(_Encoders(job, dtypes))
            for found, cut in encoders.encode(columns, at_a_time):
                for name, (values, lengths) in found.items():
                    writers[name].add(values, lengths)
                truncated.add(cut)
                done += len(cut)
                progress(done)

    folder, digest = store.entry("rows", key, write)
    give_back(*(column.ends for column in columns))
    return Features(
        {spec.name: read_rows(folder, spec, dtypes[spec.name], digest) for spec in specs},
        mapped(folder / "truncated", "bool"),
    )


class Encoder:
    """Does a job in a process of its own.

    Args:
        job: the job.
        dtypes: type of the values of each input by name.
    """

    def __init__(self, job: Job, dtypes: Mapping[str, str]):
        self._job, self._dtypes = job, dtypes

    def encode(self, *columns: Texts) -> _Part:
        """Returns the values of rows, one after the other."""
        found, truncated = self._job.encode(*map(list, columns))
        parts = {}
        for name, dtype in self._dtypes.items():
            rows = found[name]
            lengths = np.fromiter(map(len, rows), np.int64, len(rows))
            parts[name] = np.concatenate(rows).astype(dtype, copy=False), lengths
        return parts, np.array(truncated, bool)


class _Encoders:
    """As many processes as there are cores, each of which encodes a part of the rows at a time."""

    def __init__(self, *arguments: Any):
        count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self._count = count or 1
        self._free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for _ in range(self._count):
            self._free.put(Worker(Encoder, *arguments))

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        while not self._free.empty():
            self._free.get().end()

    def encode(self, columns: Sequence[Texts], at_a_time: int) -> Iterator[_Part]:
        """Yields the encoded rows in their order."""
        with ThreadPoolExecutor(self._count) as threads:
            ahead: collections.deque[Future] = collections.deque()
            for first, last in _bounds(columns, at_a_time):
                parts = [column.part(first, last) for column in columns]
                ahead.append(threads.submit(self._encoded, parts))
                if len(ahead) > 2 * self._count:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _encoded(self, parts: list[Texts]) -> _Part:
        worker = self._free.get()
        try:
            return worker.call("encode", *parts)
        finally:
            self._free.put(worker)


def _bounds(columns: Sequence[Texts], at_a_time: int) -> Iterator[tuple[int, int]]:
    """The first row of each part, and that of the next: some rows, or texts of some size."""
    first, rows = 0, len(columns[0])
    while first < rows:
        last = min(first + at_a_time, rows)
        for column in columns:
            sizes = np.cumsum(column.ends[first:last] - column.starts[first:last])
            last = min(last, first + 1 + int(np.searchsorted(sizes, _PART_BYTES)))
        yield first, last
        first = last
