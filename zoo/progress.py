"""Progress reports of runs: the callbacks, and a report that prints them."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from keras_transformer.zoo.printable import printable
from keras_transformer.zoo.tabular import number, words

# Metrics printed for an epoch, as far as the task has them.
EPOCH_METRICS = (
    "mean", "f1", "exact_match", "accuracy", "mean_average_precision", "mean_reciprocal_rank",
    "macro_f1", "pearson", "spearman", "mean_squared_error", "loss", "perplexity",
    "token_accuracy", "bits_per_character",
)  # fmt: skip


class Report:
    """Receives progress callbacks; the methods do nothing here."""

    def start(self, title: str, total_steps: int) -> None:
        """A run of `total_steps` begins."""

    def step(self, step: int, loss: float) -> None:
        """A step is done; `loss` is the epoch's mean so far."""

    def epoch(self, epoch: int, loss: float, metrics: dict[str, Any], is_best: bool) -> None:
        """An epoch is done and validated."""

    def speed(self, speed: Mapping[str, float]) -> None:
        """A run is done, with these numbers a second, see `speed_text`; empty if of no step."""

    def reading(self, path: Path | str, done: int, rows: int) -> None:
        """`done` of the `rows` of a file are decoded or encoded, or of its bytes are read."""

    def cut(self, path: Path | str, rows: int, num_cut: int, longest: str) -> None:
        """`num_cut` of a file's `rows` are longer than the model's `longest` and were truncated."""
        if num_cut:
            self.note(
                f"{num_cut} of {rows} rows of {path} are longer than {longest} and were cut."
            )

    def ended(self, out: Path | str) -> None:
        """A run that is resumed had written its checkpoint `out`; nothing is done."""
        self.note(f"{out} is whole already: the run had ended.")

    def note(self, text: str) -> None:
        """A note to the user."""


class Printed(Report):
    """Prints a line for each epoch and note, and the current step at most twice a second.

    Args:
        file: text stream to print to; standard output by default, which notebooks show.
    """

    def __init__(self, file: TextIO | None = None):
        self.file = sys.stdout if file is None else file
        self.title, self.total_steps = "", 0
        self.shown_at = 0.0
        self.width = 0

    def start(self, title: str, total_steps: int) -> None:
        self.title, self.total_steps = title, total_steps

    def reading(self, path: Path | str, done: int, rows: int) -> None:
        # The line of the last row is erased by the next one.
        self._show(f"{path} {done}/{rows}")

    def step(self, step: int, loss: float) -> None:
        self._show(f"{self.title} {step}/{self.total_steps}, {loss_text(loss)}")

    def _show(self, line: str) -> None:
        """Shows a line for a moment, unless another one was half a second ago."""
        now = time.monotonic()
        if now - self.shown_at >= 0.5:
            self.shown_at = now
            self._print(line, end="")

    def epoch(self, epoch: int, loss: float, metrics: dict[str, Any], is_best: bool) -> None:
        self._print(epoch_line(epoch, loss, metrics, is_best))

    def speed(self, speed: Mapping[str, float]) -> None:
        if speed:
            self._print(speed_text(speed))

    def note(self, text: str) -> None:
        self._print(f"Note: {text}")

    def _print(self, line: str, end: str = "\n") -> None:
        line = printable(line, getattr(self.file, "encoding", None))
        # The previous step's line is overwritten.
        erased = f"\r{' ' * self.width}\r" if self.width else ""
        self.width = 0 if end else len(line)
        print(erased + line, end=end, file=self.file, flush=True)


def default_report() -> Report:
    """Returns the default report: printed in notebooks and at an interactive prompt.

    A script prints nothing unless it passes a report, such as `Printed()`.
    """
    return Printed() if hasattr(sys, "ps1") else Report()


def loss_text(loss: float) -> str:
    """Returns a step's loss in words."""
    return f"loss {number(loss)}"


def speed_text(speed: Mapping[str, float]) -> str:
    """Returns the speed of a run as a sentence.

    Args:
        speed: `examples_per_second`, `tokens_per_second` of texts, and where a device's peak is
            known `mfu`, the share of it.
    """
    parts = [f"{speed['examples_per_second']:,.0f} examples"]
    if "tokens_per_second" in speed:
        parts.append(f"{speed['tokens_per_second']:,.0f} tokens")
    share = f", {speed['mfu']:.1%} of the device's peak" if "mfu" in speed else ""
    return f"Trained on {' and '.join(parts)} a second{share}."


def epoch_line(epoch: int, loss: float, metrics: dict[str, Any], is_best: bool) -> str:
    """Returns an epoch's loss and metrics as one line."""
    values = [f"{words(name)} {_value(metrics[name])}" for name in EPOCH_METRICS if name in metrics]
    line = f"Epoch {epoch}: {loss_text(loss)}, validation {', '.join(values)}"
    return f"{line}, the best so far" if is_best else line


def _value(metric: float | None) -> str:
    if metric is None:
        return "not defined"
    return number(metric)
