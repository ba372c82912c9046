"""What of opening a file its checks take, interleaved with all of it in one run.

    python tests/benchmarks/opening.py --models bert_tiny,bert_mini,bert_small

The weights are random. `checks` is what looks at the graphs before LiteRT sees them; `all` is
`Runner(path)`, with the hash, the tokenizer and the interpreter, and its first row. The first
figures are of a process that has opened the file before, the last ones of processes that begin
with it, counted from after Python's own start, with the imports.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from latency import untrained, write_files
from rich.console import Console
from rich.table import Table

from keras_transformer.edge.runtime.checks.verify import verify
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner

# What a process does that opens a file: prints the seconds of the checks, and of all.
FRESH = """
import sys, time
began = time.perf_counter()
from keras_transformer.edge.runtime import Runner, opening
checks, verify = [], opening.verify
def timed(*arguments):
    start = time.perf_counter()
    result = verify(*arguments)
    checks.append(time.perf_counter() - start)
    return result
opening.verify = timed
Runner(sys.argv[1]).predict([sys.argv[2]])
print([*checks, time.perf_counter() - began])
"""


def fresh(path: Path, text: str) -> tuple[float, float]:
    """Seconds of the checks and of all in a process of its own."""
    command = [sys.executable, "-c", FRESH, str(path), text]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    checks, whole = json.loads(done.stdout)
    return checks, whole


def seconds(function: Callable[[], object]) -> float:
    """The time of a call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


@click.command(help=__doc__)
@click.option("--models", default="bert_tiny,bert_mini,bert_small", show_default=True)
@click.option("--precision", default="dynamic_int8", show_default=True)
@click.option("--rounds", default=15, show_default=True)
def main(models: str, precision: str, rounds: int) -> None:
    table = Table(
        "model", "MB", "checks, ms", "all, ms", "share", "range", "fresh: all, ms", "share"
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name in models.split(","):
            checkpoint, rows = untrained(name, 64)
            path = write_files(checkpoint, rows, [precision], Path(folder))[precision]
            text = " ".join(["p1"] * 20)
            Runner(path).predict([text])
            graphs = unpack(path)[0]
            warm, first = [], []
            for _ in range(rounds):
                checks = seconds(lambda graphs=graphs: verify(graphs, "the file"))
                whole = seconds(lambda path=path, text=text: Runner(path).predict([text]))
                warm.append((checks, whole))
                first.append(fresh(path, text))
            shares = sorted(checks / whole for checks, whole in warm)
            checks, whole = (statistics.median(times) for times in zip(*warm, strict=True))
            table.add_row(
                name, f"{path.stat().st_size / 1e6:.1f}", f"{1e3 * checks:.1f}",
                f"{1e3 * whole:.1f}", f"{statistics.median(shares):.3f}",
                f"{shares[0]:.3f} to {shares[-1]:.3f}",
                f"{1e3 * statistics.median(whole for _, whole in first):.0f}",
                f"{statistics.median(checks / whole for checks, whole in first):.3f}",
            )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
