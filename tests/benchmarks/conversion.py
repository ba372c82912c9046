"""Seconds of the command `convert` by stage, and against another checkout of this repository.

    python tests/benchmarks/conversion.py my_model --precision int8 --calibration train.tsv

With `--other PYTHON`, the interpreter of another checkout's environment, both run in turns; prints
the medians and their ratio. Wall seconds are those of this machine at this time; the processor's
say more on a shared one. A stage is counted without the stages that it calls.
"""

import functools
import importlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

# What holds the functions below; an older checkout has some of them elsewhere.
MODULES = (
    "keras_transformer.edge.targets.convert",
    "keras_transformer.edge.targets.plain",
    "keras_transformer.edge.targets",
    "tensorflow",
)
# Functions of ours by the stage that they are.
STAGES = {
    "load": "read the checkpoint",
    "build": "build Keras models",
    "calibrate": "calibrate",
    "round_biases": "round biases",
    "grid_weights": "round kernels",
    "make_signatures": "make signatures",
    "_to_flatbuffer": "trace, save and convert",
    "rewrite": "rewrite",
    "narrow": "narrow",
    "compact": "compact",
    "find_layers": "find layers",
    "measure_parity": "parity",
    "provenance": "provenance",
    "pack": "pack",
    "median_latency": "latency for the card",
}
Seconds = dict[str, list[float]]


class Clock:
    """Seconds by stage, wall and processor."""

    def __init__(self):
        self.seconds: Seconds = {}
        self._running: list[str] = []
        self._last = self._now()

    def _now(self):
        return time.perf_counter(), time.process_time()

    def enter(self, stage: str) -> None:
        """Counts for a stage from now on, until it or one within it ends or begins."""
        self._count()
        self._running.append(stage)

    def leave(self) -> None:
        """Counts for the stage around the one that ends."""
        self._count()
        self._running.pop()

    def _count(self):
        now = self._now()
        if self._running:
            total = self.seconds.setdefault(self._running[-1], [0.0, 0.0])
            for i in range(2):
                total[i] += now[i] - self._last[i]
        self._last = now

    def of(self, stage: str, function):
        """Returns a function that is counted for a stage."""

        @functools.wraps(function)
        def counted(*args, **kwargs):
            self.enter(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return counted


def measure(arguments: list[str]) -> Seconds:
    """Runs the command in this process."""
    clock = Clock()
    clock.enter("imports")
    from keras_transformer.cli import main as command

    for name in MODULES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in name:
                raise
    ours = [module for name, module in sys.modules.items() if name.startswith("keras_transformer")]
    counted = {}
    for module in ours:
        for name, stage in STAGES.items():
            function = vars(module).get(name)
            if callable(function) and not isinstance(function, type):
                wrapped = counted.setdefault(id(function), clock.of(stage, function))
                setattr(module, name, wrapped)
    import tensorflow as tf

    for owner, name, stage in (
        (tf.saved_model, "save", "save for the converter"),
        (tf.lite.TFLiteConverter, "from_saved_model", "the converter reads"),
        (tf.lite.TFLiteConverter.from_saved_model.__globals__["TFLiteSavedModelConverterV2"],
         "convert", "the converter converts"),
    ):  # fmt: skip
        setattr(owner, name, clock.of(stage, getattr(owner, name)))
    clock.enter("the rest")
    command.main(["convert", *arguments], standalone_mode=False)
    clock.leave()
    return clock.seconds


@click.command(help=__doc__, context_settings={"ignore_unknown_options": True})
@click.argument("checkpoint")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--other", "others", multiple=True, metavar="PYTHON")
@click.option("--rounds", default=3, show_default=True)
def main(checkpoint: str, arguments: tuple[str, ...], others: tuple[str, ...], rounds: int) -> None:
    pythons = [sys.executable, *others]
    runs: dict[str, list[Seconds]] = {python: [] for python in pythons}
    totals: dict[str, list[float]] = {python: [] for python in pythons}
    for _ in range(rounds):
        for python in pythons:
            with tempfile.TemporaryDirectory() as folder:
                found = Path(folder) / "seconds.json"
                words = [checkpoint, *arguments, "--out", str(Path(folder) / "model.tflite")]
                before = os.times()
                subprocess.run(
                    [python, __file__, "--one", str(found), *words], check=True,
                    stdout=subprocess.DEVNULL,
                )  # fmt: skip
                after = os.times()
                totals[python].append(after.children_user - before.children_user)
                runs[python].append(json.loads(found.read_text()))
    stages = list(
        dict.fromkeys(stage for python in pythons for run in runs[python] for stage in run)
    )
    click.echo(f"{'wall / processor seconds':32}" + "".join(f"{Path(p)!s:>44}" for p in pythons))
    for stage in stages:
        click.echo(f"{stage:32}" + "".join(_cell(runs[python], stage) for python in pythons))
    sums = {p: [sum(one[1] for one in run.values()) for run in runs[p]] for p in pythons}
    click.echo(f"{'all':32}" + "".join(f"{statistics.median(sums[p]):44.2f}" for p in pythons))
    click.echo(
        f"{'user seconds':32}" + "".join(f"{statistics.median(totals[p]):44.2f}" for p in pythons)
    )
    for other in others:
        ratios = [
            theirs / ours for ours, theirs in zip(totals[pythons[0]], totals[other], strict=True)
        ]
        click.echo(f"{other}: {statistics.median(ratios):.2f} times our user seconds (rounds: "
                   f"{', '.join(f'{ratio:.2f}' for ratio in ratios)})")  # fmt: skip


def _cell(runs, stage):
    wall, processor = (
        statistics.median(run.get(stage, (0.0, 0.0))[i] for run in runs) for i in range(2)
    )
    return f"{wall:34.2f} / {processor:7.2f}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        Path(sys.argv[2]).write_text(json.dumps(measure(sys.argv[3:])))
    else:
        main()
