"""Latency, memory and size of `.tflite` files, measured side by side on the machine at hand."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.compare import memory
from keras_transformer.edge.runtime.names import DECODE, PREDICT
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import make_interpreter
from keras_transformer.edge.tflite.delegation import find_delegation
from keras_transformer.zoo.errors import InputError, RunError

WARM_UP = 10
_CPU_INFO = Path("/proc/cpuinfo")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of one file.

    Attributes:
        path: of the file.
        precision: of the file.
        signature: which of its entry points was measured: `predict`, or `decode` of a model that
            generates.
        tokens: that one invocation reads: `max_length`, or 1 of `decode`.
        size: bytes of the file.
        median_ms, p90_ms: milliseconds of one invocation.
        ratio: the median over the first file's.
        peak_memory: bytes by which the resident memory of a process of its own peaked above where
            it stood before the file was loaded; None where the system does not tell, or where the
            file's ops need TensorFlow Text in that process.
        partitions: stretches of the graph that XNNPACK runs.
        delegated_ops: number of ops in them.
        outside_ops: ops that the built-in kernels run, by name.
    """

    path: str
    precision: str
    signature: str
    tokens: int
    size: int
    median_ms: float
    p90_ms: float
    ratio: float
    peak_memory: int | None
    partitions: int
    delegated_ops: int
    outside_ops: dict[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Files measured in one run.

    Attributes:
        device: name of the processor.
        threads: of each interpreter.
        runs: timed invocations of each file, one a round.
        files: the measurements, in the order given.
    """

    device: str
    threads: int
    runs: int
    files: tuple[Measured, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the values as an object that JSON can hold."""
        return dataclasses.asdict(self)


def benchmark(paths: Sequence[str | Path], *, threads: int = 1, runs: int = 100) -> Benchmark:
    """Measures files together: in every round each is invoked once, so that all share the noise.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a file is not one of ours, or there is none.
        RunError: the process that measures memory failed.
    """
    if not paths:
        raise InputError("Expected at least one file to measure.")
    loaded = [_load(path, threads) for path in paths]
    milliseconds = _latencies([interpreter for interpreter, _ in loaded], runs)
    medians = np.median(milliseconds, axis=1)
    measured = []
    for i, (path, (interpreter, description)) in enumerate(zip(paths, loaded, strict=True)):
        found = find_delegation(interpreter)
        generates = DECODE in interpreter.get_signature_list()
        measured.append(
            Measured(
                path=str(path),
                precision=description["precision"],
                signature=DECODE if generates else PREDICT,
                tokens=1 if generates else description["max_length"],
                size=Path(path).stat().st_size,
                median_ms=float(medians[i]),
                p90_ms=float(np.percentile(milliseconds[i], 90)),
                ratio=float(medians[i] / medians[0]),
                peak_memory=None if description.get("custom_ops") else _peak_memory(path, threads),
                partitions=found.partitions,
                delegated_ops=found.delegated.total(),
                outside_ops=dict(found.outside.most_common()),
            )
        )
    return Benchmark(device=device_name(), threads=threads, runs=runs, files=tuple(measured))


def median_latency(
    data: bytes, description: Mapping[str, Any], *, threads: int = 1, runs: int
) -> float:
    """Measures one file alone: milliseconds of an invocation, the median of so many.

    Args:
        data: its bytes.
        description: what it says of itself.
        threads: of the interpreter.
        runs: timed invocations.
    """
    interpreter = _filled(data, description, threads)
    return float(np.median(_latencies([interpreter], runs)))


def device_name() -> str:
    """Returns the processor's model and the number of cores that this process may use."""
    model = "unknown processor"
    if _CPU_INFO.exists():
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {len(os.sched_getaffinity(0))} cores"


def _load(path: str | Path, threads: int) -> tuple[Interpreter, dict[str, Any]]:
    """An interpreter that can be invoked, and the file's description."""
    flatbuffer, description, _ = unpack(path)
    return _filled(flatbuffer, description, threads), description


def _filled(flatbuffer: bytes, description: Mapping[str, Any], threads: int) -> Interpreter:
    """An interpreter whose inputs hold tokens to the full length."""
    interpreter = make_interpreter(flatbuffer, description, threads=threads)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        # 1 is a token that every vocabulary has, and the second segment of a pair.
        value = np.ones(detail["shape"], detail["dtype"])
        if value.dtype.kind == "S":
            value = np.full(detail["shape"], "a " * description["max_length"], object)
        interpreter.set_tensor(detail["index"], value)
    return interpreter


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


def _peak_memory(path: str | Path, threads: int) -> int | None:
    if not Path(memory.STATUS).exists():
        return None
    command = [sys.executable, "-m", memory.__name__, str(path), str(threads)]
    child = subprocess.run(command, capture_output=True, text=True)
    if child.returncode:
        last = child.stderr.strip().splitlines()[-1:]
        raise RunError(f"Measuring the memory of {path} failed: {' '.join(last)}")
    return int(child.stdout)
