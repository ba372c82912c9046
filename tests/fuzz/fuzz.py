"""Runs workers over damaged inputs and counts what must not happen."""

import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.worker import MEMORY

ROOT = Path(__file__).parent.parent.parent
SECONDS, PATIENCE = 10.0, 60.0
STARTING = 180.0  # until a worker has imported what reads its first input


@dataclasses.dataclass
class Counts:
    """What happened to the inputs of a kind.

    Attributes:
        kind: of the inputs.
        inputs: how many were read.
        fine: were read without an error.
        sentences: gave one sentence.
        faults: what must not happen, by its name: `tracebacks`, `crashes`, `hangs` of more than
            10 seconds, `memory` above 2 GB, `outside`: files written outside the folder.
        texts: of each fault the input's number and what is known of it.
    """

    kind: str
    inputs: int = 0
    fine: int = 0
    sentences: int = 0
    faults: Counter = dataclasses.field(default_factory=Counter)
    texts: list[str] = dataclasses.field(default_factory=list)

    def fault(self, name: str, number: int, text: str) -> None:
        """Counts a fault."""
        self.faults[name] += 1
        self.texts.append(f"{self.kind} {number}: {name}: {text}")


def fuzz(kind: str, seeds: Path, folder: Path, count: int, *, seed: int = 0) -> Counts:
    """Reads `count` damaged inputs of a kind, in processes that may die.

    Args:
        kind: of `KINDS`.
        seeds: that `make_seeds` wrote.
        folder: empty; inputs are written there.
        seed: the same one gives the same inputs.
    """
    counts = Counts(kind)
    number = 0
    while number < count:
        number = _run_worker(counts, seeds, folder, seed, number, count)
    return counts


def _run_worker(counts, seeds, folder, seed, first, count) -> int:
    """Runs a worker until it ends in some way; returns the number of the next input."""
    command = [
        sys.executable, "-m", "tests.fuzz.worker", counts.kind, str(seeds), str(folder), str(seed),
        str(first), str(count - first),
    ]  # fmt: skip
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1"}
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = os.environ | quiet | {"TMPDIR": str(temporary), "HOME": str(folder)}
    with open(folder / "stderr", "wb") as errors:
        worker = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True,
        )  # fmt: skip
        with worker:
            following = _follow(counts, worker, first)
    if worker.returncode and following == first:
        # Before it read anything: the fuzzer's own fault.
        raise RuntimeError((folder / "stderr").read_text(errors="replace")[-2000:])
    return following


def _follow(counts, worker, first) -> int:
    """Reads a worker's lines and counts; returns the number of the next input."""
    reading, following, patience = None, first, STARTING
    lines = _lines(worker.stdout)
    while True:
        line = lines.wait(patience)
        if line is None:
            os.killpg(worker.pid, signal.SIGKILL)
            if reading is not None:
                counts.inputs += 1
                counts.fault("hangs", reading, f"more than {patience:.0f} s")
                following = reading + 1
            return following
        if line == b"":
            code = worker.wait()
            if reading is not None:
                counts.inputs += 1
                counts.fault("crashes", reading, f"code {code}")
                following = reading + 1
            return following
        found = json.loads(line)
        if "begins" in found:
            reading, patience = found["begins"], PATIENCE
            continue
        reading, following = None, found["number"] + 1
        _count(counts, found)


def _count(counts, found):
    number = found["number"]
    counts.inputs += 1
    counts.fine += found["outcome"] == "fine"
    counts.sentences += found["outcome"] == "sentence"
    if found["outcome"] == "traceback":
        counts.fault("tracebacks", number, found["text"])
    # Others may use the processors too: what takes long has to compute long, or to wait.
    if found["seconds"] > SECONDS:
        counts.fault("hangs", number, f"{found['seconds']:.1f} s, {found['cpu']:.1f} computing")
    if found["bytes"] > MEMORY:
        counts.fault("memory", number, f"{found['bytes'] / 1e9:.1f} GB")
    if found["outside"]:
        counts.fault("outside", number, ", ".join(found["outside"]))


class _lines:
    """Lines of a pipe, with a bound on how long one is waited for."""

    def __init__(self, pipe):
        self._descriptor = pipe.fileno()
        self._buffer = b""

    def wait(self, seconds: float) -> bytes | None:
        """The next line, empty at the end, None where none came in time."""
        end = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
                return None
            data = os.read(self._descriptor, 1 << 16)
            if not data:
                return b""
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"


def table(all_counts: Iterator[Counts]) -> Iterator[str]:
    """Yields the rows of a table in Markdown."""
    faults = ("tracebacks", "crashes", "hangs", "memory", "outside")
    heads = ("kind", "inputs", "fine", "one sentence", *faults)
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for one in all_counts:
        found = (one.faults[name] for name in faults)
        row = (one.kind, one.inputs, one.fine, one.sentences, *found)
        yield f"| {' | '.join(map(str, row))} |"
