"""Benchmark of `.tflite` files on this machine: latency, memory and size, measured in turns."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.compare import memory
from keras_transformer.edge.runtime.interpreters import check_counts, make_interpreter
from keras_transformer.edge.runtime.names import run_of, unit_of
from keras_transformer.edge.runtime.opening import open_file
from keras_transformer.edge.runtime.packed import Source, contents, name_of, names_of
from keras_transformer.edge.tflite.delegation import find_delegation
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.storage.temporary import temporary_folder
from keras_transformer.zoo.tabular import Grid, Tabular

WARM_UP = 10
_CPU_INFO = Path("/proc/cpuinfo")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """Measurements of one file.

    Attributes:
        path: path of the file.
        precision: precision of the file.
        signature: signature that was measured: `predict`, or `decode` of a generative model.
        tokens: number of tokens that one invocation reads: `max_length`, or 1 for `decode`.
        unit: what they are: `tokens` of a text, or `positions`, such as the patches of an image.
        size: size of the file in bytes.
        median_ms, p90_ms: median and 90th percentile of an invocation's latency in milliseconds.
        ratio: the median divided by the first file's.
        peak_memory: peak resident memory of a separate process in bytes, above its level before the
            file was loaded; None if the system does not report it, or if the file's ops need
            TensorFlow Text.
        partitions: number of partitions of the graph that XNNPACK runs.
        delegated_ops: number of ops in them.
        outside_ops: ops that the built-in kernels run, by name.
    """

    path: str
    precision: str
    signature: str
    tokens: int
    unit: str
    size: int
    median_ms: float
    p90_ms: float
    ratio: float
    peak_memory: int | None
    partitions: int
    delegated_ops: int
    outside_ops: dict[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Benchmark(Tabular):
    """Files measured in one run.

    Attributes:
        device: name of the processor.
        threads: number of threads of each interpreter.
        runs: number of timed invocations of each file, one per round.
        files: the measurements, in the order given.
    """

    device: str
    threads: int
    runs: int
    files: tuple[Measured, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        return dataclasses.asdict(self)

    def grids(self) -> list[Grid]:
        """One row per file."""
        units = " or ".join(dict.fromkeys(file.unit for file in self.files))
        columns = (
            "file", "precision", f"measured, {units}", "median ms", "p90 ms", "ratio", "peak MB",
            "MB", "partitions", "ops outside XNNPACK",
        )  # fmt: skip
        rows = [
            (
                file.path,
                file.precision,
                f"{file.signature}, {file.tokens}",
                f"{file.median_ms:.2f}",
                f"{file.p90_ms:.2f}",
                f"{file.ratio:.2f}",
                None if file.peak_memory is None else f"{file.peak_memory / 1e6:.1f}",
                f"{file.size / 1e6:.2f}",
                file.partitions,
                ", ".join(f"{count} {name}" for name, count in file.outside_ops.items()) or "none",
            )
            for file in self.files
        ]
        used = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return [Grid(f"{self.device}; {used}, {self.runs} interleaved runs", columns, rows)]


def benchmark(files: Source | Sequence[Source], *, threads: int = 1, runs: int = 100) -> Benchmark:
    """Benchmarks files in turns: each is invoked once per round, so that noise affects all equally.

    Args:
        files: one or more converted files: paths, bytes, runners, or artifacts of `convert`.
        threads: number of threads of each interpreter.
        runs: number of timed invocations of each file.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a file was not made by `convert`, there is no file, `threads` is not from 1
            to 1024 or `runs` not positive.
        TypeError: if an item of `files` is not a file.
        RunError: if the process that measures memory fails.
    """
    sources = files if isinstance(files, list | tuple) else [files]
    if not sources:
        raise InputError("Expected at least one file to measure.")
    check_counts(threads=threads)
    if type(runs) is not int or runs < 1:
        raise InputError(f"Expected runs to be at least 1, got runs={runs!r}.")
    names = names_of(sources)
    loaded = [_load(source, threads) for source in sources]
    milliseconds = _latencies([interpreter for interpreter, _ in loaded], runs)
    medians = np.median(milliseconds, axis=1)
    measured = []
    for i, (source, (interpreter, description)) in enumerate(zip(sources, loaded, strict=True)):
        found = find_delegation(interpreter)
        signature, tokens = run_of(description, interpreter.get_signature_list())
        measured.append(
            Measured(
                path=names[i],
                precision=description["precision"],
                signature=signature,
                tokens=tokens,
                unit=unit_of(description),
                size=len(contents(source)),
                median_ms=float(medians[i]),
                p90_ms=float(np.percentile(milliseconds[i], 90)),
                ratio=float(medians[i] / medians[0]),
                peak_memory=(
                    None if description.get("custom_ops") else _peak_memory(source, threads)
                ),
                partitions=found.partitions,
                delegated_ops=found.delegated.total(),
                outside_ops=dict(found.outside.most_common()),
            )
        )
    return Benchmark(device=device_name(), threads=threads, runs=runs, files=tuple(measured))


def median_latency(source: Source, *, threads: int = 1, runs: int) -> float:
    """Returns the median latency of one file alone in milliseconds, over a number of runs.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it was not made by `convert`.
    """
    interpreter, _ = _load(source, threads)
    return float(np.median(_latencies([interpreter], runs)))


def interleaved_latencies(sources: Sequence[Source], threads: int, runs: int) -> list[float]:
    """Returns the median latencies of files in milliseconds, each invoked once per round.

    Raises:
        InputError: if a file was not made by `convert`, or `threads` is not from 1 to 1024.
    """
    check_counts(threads=threads)
    interpreters = [_load(source, threads)[0] for source in sources]
    return [float(one) for one in np.median(_latencies(interpreters, runs), axis=1)]


def device_name() -> str:
    """Returns the processor's model and the number of cores that this process may use."""
    model = "unknown processor"
    if _CPU_INFO.exists():
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {len(os.sched_getaffinity(0))} cores"


def _load(source: Source, threads: int) -> tuple[Interpreter, dict[str, Any]]:
    """An interpreter with inputs of the full length, and the file's description."""
    opened = open_file(source)
    description = opened.description
    interpreter = make_interpreter(opened.flatbuffer, description, threads=threads)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        # 1 is a valid token in every vocabulary, and the second segment of a pair.
        value = np.ones(detail["shape"], detail["dtype"])
        if value.dtype.kind == "S":
            value = np.full(detail["shape"], "a " * description["max_length"], object)
        interpreter.set_tensor(detail["index"], value)
    return interpreter, description


def _latencies(interpreters: Sequence[Interpreter], runs: int) -> np.ndarray:
    """Milliseconds (files, runs) of `invoke`, after a warm-up of each file."""
    for interpreter in interpreters:
        for _ in range(WARM_UP):
            interpreter.invoke()
    result = np.empty((len(interpreters), runs))
    for run in range(runs):
        for i, interpreter in enumerate(interpreters):
            start = time.perf_counter_ns()
            interpreter.invoke()
            result[i, run] = (time.perf_counter_ns() - start) / 1e6
    return result


def _peak_memory(source: Source, threads: int) -> int | None:
    if not Path(memory.STATUS).exists():
        return None
    with temporary_folder() as folder:
        path = folder / "model.tflite"
        if isinstance(source, str | os.PathLike):
            # LiteRT takes no path that is not UTF-8.
            path.symlink_to(os.path.abspath(source))
        else:
            path.write_bytes(contents(source))
        command = [sys.executable, "-P", "-m", memory.__name__, str(path), str(threads)]
        child = subprocess.run(command, capture_output=True, text=True)
    if child.returncode:
        last = child.stderr.strip().splitlines()[-1:]
        raise RunError(f"Measuring the memory of {name_of(source)} failed: {' '.join(last)}")
    return int(child.stdout)
