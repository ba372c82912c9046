"""Encoding of many rows by several processes, into files that are mapped."""

import collections
import contextlib
import hashlib
import os
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.columns.texts import Texts
from keras_transformer.zoo.modalities.modality import Features, InputSpec, Modality
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.prepared.store import Store
from keras_transformer.zoo.prepared.writers import ArrayWriter, RowsWriter, mapped, read_rows
from keras_transformer.zoo.worker import Worker

# Texts that a process encodes at a time.
_PART = 20_000
_MOST_IDS = 1 << 16

# Values of further rows of each input, their lengths, and whether each row was truncated.
_Part = tuple[dict[str, tuple[np.ndarray, np.ndarray]], np.ndarray]


def encoded(
    store: Store, modality: Modality, rows: Texts, pairs: Texts | None,
    progress: Callable[[int], None],
) -> Features:  # fmt: skip
    """Returns encoded rows, which are prepared unless that was done before.

    Args:
        store: where.
        modality: modality of texts.
        rows: texts with a key.
        pairs: second texts of pairs, or None.
        progress: receives the number of rows that are encoded.
    """
    specs = modality.inputs(pair=pairs is not None)
    files = modality.files()
    described = _described(modality)
    key = {
        "rows": [rows.key, None if pairs is None else pairs.key], "modality": described,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }  # fmt: skip
    is_short = modality.text.tokenizer.vocab_size <= _MOST_IDS
    dtypes = {
        spec.name: "uint16" if is_short and spec.dtype == "int32" else spec.dtype
        for spec in specs
    }

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
            encoders = opened.enter_context(_Encoders(described, files, specs, dtypes))
            for columns, cut in encoders.encode(rows, pairs):
                for name, (values, lengths) in columns.items():
                    writers[name].add(values, lengths)
                truncated.add(cut)
                done += len(cut)
                progress(done)

    folder, digest = store.entry("rows", key, write)
    return Features(
        {spec.name: read_rows(folder, spec, dtypes[spec.name], digest) for spec in specs},
        mapped(folder / "truncated", "bool"),
    )


def _described(modality: Modality) -> dict[str, Any]:
    return {
        "name": modality.name, "max_length": modality.max_length,
        "settings": dict(modality.settings),
    }  # fmt: skip


class Encoder:
    """Encodes rows in a process of its own.

    Args:
        described: name, maximum length and settings of the modality.
        files: its files.
        specs: specs of the inputs.
        dtypes: type of the values of each input by name.
    """

    def __init__(
        self, described: Mapping[str, Any], files: Mapping[str, bytes],
        specs: Sequence[InputSpec], dtypes: Mapping[str, str],
    ):  # fmt: skip
        self._modality = modality_named(described["name"]).from_files(
            files, max_length=described["max_length"], settings=described["settings"]
        )
        self._specs, self._dtypes = specs, dtypes

    def encode(self, rows: Texts, pairs: Texts | None) -> _Part:
        """Returns the values of rows, one after the other."""
        found = self._modality.encode(list(rows), None if pairs is None else list(pairs))
        columns = {}
        for spec in self._specs:
            values = found.columns[spec.name]
            lengths = np.fromiter(map(len, values), np.int64, len(values))
            columns[spec.name] = np.concatenate(values).astype(self._dtypes[spec.name]), lengths
        return columns, np.array(found.truncated, bool)


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

    def encode(self, rows: Texts, pairs: Texts | None) -> Iterator[_Part]:
        """Yields the encoded rows in their order."""
        with ThreadPoolExecutor(self._count) as threads:
            ahead: collections.deque[Future] = collections.deque()
            for first in range(0, len(rows), _PART):
                part = rows.part(first, first + _PART)
                second = None if pairs is None else pairs.part(first, first + _PART)
                ahead.append(threads.submit(self._encoded, part, second))
                if len(ahead) > 2 * self._count:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _encoded(self, rows: Texts, pairs: Texts | None) -> _Part:
        worker = self._free.get()
        try:
            return worker.call("encode", rows, pairs)
        finally:
            self._free.put(worker)
