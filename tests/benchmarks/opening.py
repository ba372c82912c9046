"""What of opening a file its checks take, interleaved with all of it in one run.

    python tests/benchmarks/opening.py --models bert_tiny,bert_mini,bert_small

The weights are random. `checks` is what looks at the graphs before LiteRT sees them; `all` is
`Runner(path)`, with the hash, the tokenizer and the interpreter, and its first row.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from keras_transformer.edge.runtime.checks.verify import verify
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from tests.benchmarks.latency import untrained, write_files


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
    table = Table("model", "MB", "checks, ms", "all, ms", "share", "range")
    with tempfile.TemporaryDirectory() as folder:
        for name in models.split(","):
            checkpoint, rows = untrained(name, 64)
            path = write_files(checkpoint, rows, [precision], Path(folder))[precision]
            text = " ".join(["p1"] * 20)
            Runner(path).predict([text])
            graphs = unpack(path)[0]
            pairs = [
                (
                    seconds(lambda graphs=graphs: verify(graphs, "the file")),
                    seconds(lambda path=path, text=text: Runner(path).predict([text])),
                )
                for _ in range(rounds)
            ]  # fmt: skip
            shares = sorted(checks / whole for checks, whole in pairs)
            checks, whole = (statistics.median(times) for times in zip(*pairs, strict=True))
            table.add_row(
                name, f"{path.stat().st_size / 1e6:.1f}", f"{1e3 * checks:.1f}",
                f"{1e3 * whole:.1f}", f"{statistics.median(shares):.2f}",
                f"{shares[0]:.2f} to {shares[-1]:.2f}",
            )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
