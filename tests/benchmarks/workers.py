"""Predictions a second of a Runner with several workers against one, interleaved in one run.

    python tests/benchmarks/workers.py --model bert_tiny --length 64 --workers 2

The weights are random: the time of an op does not depend on them. Prints the median and the best of
the rounds, and the machine's load before and after: other work on the cores takes from both, and
many short rounds (`--rows 64 --rounds 99`) meet moments without. With `--cores 1` the process stays
on one core, where several workers have nothing to gain.
"""

import os
import statistics
import sys
import time
from pathlib import Path

import click
import numpy as np

from keras_transformer.edge.runtime import Runner
from keras_transformer.edge.targets.convert import convert

sys.path.insert(0, str(Path(__file__).parent))
from latency import untrained  # noqa: E402


def rate(runner: Runner, texts: list[str]) -> float:
    """Predictions a second."""
    start = time.perf_counter()
    runner.predict(texts)
    return len(texts) / (time.perf_counter() - start)


@click.command(help=__doc__)
@click.option("--model", default="bert_tiny", show_default=True)
@click.option("--length", default=64, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--rows", default=1000, show_default=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--cores", default=None, type=int, help="That the process may use; all by default.")
@click.option("--file", type=Path, help="Measured in place of a model with random weights.")
def main(
    model: str, length: int, workers: int, rows: int, rounds: int, cores: int | None,
    file: Path | None,
) -> None:  # fmt: skip
    if cores is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    data = convert(untrained(model, length)[0], "float32") if file is None else file
    runners = [Runner(data), Runner(data, workers=workers)]
    words = np.array([word for word in runners[0].tokenizer.vocabulary if word[0] not in "[#"])
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, rng.integers(length // 2, length))) for _ in range(rows)]
    rates: list[list[float]] = [[], []]
    before = os.getloadavg()[0]
    for number in range(rounds + 1):
        # In turn the first; the first round of all warms up.
        for place in (0, 1) if number % 2 else (1, 0):
            found = rate(runners[place], texts)
            rates[place] += [found] * (number > 0)
    one, several = map(statistics.median, rates)
    ratios = [b / a for a, b in zip(*rates, strict=True)]
    what = f"{model} in float32, {length} tokens" if file is None else file.name
    print(
        f"{what}: {rows} rows, {rounds} rounds on {len(os.sched_getaffinity(0))} cores, load "
        f"{before:.1f} to {os.getloadavg()[0]:.1f}"
    )
    print(
        f"1 worker {one:.0f}/s, {workers} workers {several:.0f}/s, ratio "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )
    one, several = map(max, rates)
    print(f"at best {one:.0f}/s and {several:.0f}/s, ratio {several / one:.2f}")


if __name__ == "__main__":
    main()
