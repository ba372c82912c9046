"""Output of commands: progress and notes on stderr, text and tables on stdout.

All that a command prints passes here: what a terminal would obey is escaped, and so is what the
stream's encoding lacks.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import rich.box
import rich.progress
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keras_transformer.zoo.printable import printable, printable_json
from keras_transformer.zoo.progress import EPOCH_METRICS as EPOCH_METRICS
from keras_transformer.zoo.progress import Report, epoch_line, loss_text, speed_text
from keras_transformer.zoo.tabular import Tabular, cell
from keras_transformer.zoo.tabular import words as words

# Largest width of a table where the output is not a terminal.
FILE_WIDTH = 200
# Text of users is not markup: `[PAD]` is printed literally.
PLAIN = {"highlight": False, "markup": False, "emoji": False}
NUMBER = re.compile(r"[-<]?[0-9]")
# Places of texts that a note names.
PLACES = 10


class Progress(Report):
    """A bar on stderr for each run, and a line for each epoch and note.

    A context manager, which stops the bar on exit. Without a terminal only the lines are printed.

    Attributes:
        had_ended: whether the run was resumed after its end, so that nothing is written.
    """

    def __init__(self):
        self.console = Console(stderr=True, **PLAIN)
        self.bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[loss]}", markup=False),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.run = self.read = None
        self.had_ended = False

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()

    def start(self, title: str, total_steps: int) -> None:
        title = printable(title, self.console.encoding)
        self.run = self.bar.add_task(title, total=total_steps, loss="")

    def reading(self, path: Path | str, done: int, rows: int) -> None:
        if self.read is None:
            title = printable(str(path), self.console.encoding)
            self.read = self.bar.add_task(title, total=rows, loss="")
        self.bar.update(self.read, completed=done)
        if done == rows:
            self.bar.remove_task(self.read)
            self.read = None

    def step(self, step: int, loss: float) -> None:
        self.bar.update(self.run, completed=step, loss=loss_text(loss))

    def epoch(self, epoch: int, loss: float, metrics: dict[str, Any], is_best: bool) -> None:
        self._print(epoch_line(epoch, loss, metrics, is_best))

    def speed(self, speed: Mapping[str, float]) -> None:
        if speed:
            self._print(speed_text(speed))

    def ended(self, out: Path | str) -> None:
        self.had_ended = True
        super().ended(out)

    def note(self, text: str) -> None:
        self._print(f"Note: {text}")

    def _print(self, line: str) -> None:
        self.console.print(printable(line, self.console.encoding), soft_wrap=True)


def say(text: str = "", *, end: str = "\n") -> None:
    """Prints a text on stdout, with its line breaks."""
    encoding = getattr(sys.stdout, "encoding", None)
    print(printable(text, encoding, lines=True), end=end, flush=True)


def say_json(value: Any) -> None:
    """Prints a value as JSON on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print(printable_json(text, getattr(sys.stdout, "encoding", None)), flush=True)


def note(text: str) -> None:
    """Prints `Note: ...` on stderr."""
    console = Console(stderr=True, **PLAIN)
    console.print(printable(f"Note: {text}", console.encoding), soft_wrap=True)


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a table on stdout.

    Args:
        title: above it, or None.
        columns: heads.
        rows: a cell a column: text, an integer (with separators), a float (four decimals), or
            None for what there is not. Columns of numbers are aligned to the right.
    """
    console = Console(**PLAIN)
    cells = [[printable(cell(value), console.encoding) for value in row] for row in rows]
    if not console.is_terminal:
        console.width = FILE_WIDTH
    if title:
        # Not rich's own title, which is centred over the table.
        console.print(printable(title, console.encoding), soft_wrap=True)
    grid = Table(box=rich.box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, column in enumerate(columns):
        values = [row[number] for row in cells if row[number] != "-"]
        is_number = bool(values) and all(map(NUMBER.match, values))
        head = Text(printable(column, console.encoding))
        grid.add_column(head, justify="right" if is_number else "left")
    for row in cells:
        grid.add_row(*map(Text, row))
    console.print(grid)


def grids(result: Tabular, *, title: str | None = None) -> None:
    """Prints the tables of a result, the first under the command's own title if one is given."""
    for number, grid in enumerate(result.grids()):
        if number:
            say()
        table(title or grid.title, grid.columns, grid.rows)
        title = None


def size(num_bytes: int) -> str:
    """Formats a number of bytes."""
    return f"{num_bytes / 1e6:.2f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:.1f} kB"


def device() -> None:
    """Prints on stderr the device that Keras computes on."""
    import keras

    backend = keras.backend.backend()
    if backend in ("tensorflow", "jax"):
        devices = ", ".join(keras.distribution.list_devices())
    else:
        # Keras lists the devices of these two alone.
        devices = keras.src.backend.torch.core.get_device() if backend == "torch" else "cpu"
    Console(stderr=True, **PLAIN).print(f"Device: {devices} ({backend} backend)")


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Shows a spinner on a terminal while work is in progress."""
    console = Console(stderr=True, **PLAIN)
    with console.status(Text(printable(what, console.encoding))):
        yield


def first_of(places: Sequence[int]) -> str:
    """Returns the first places as text."""
    return ", ".join([*map(str, places[:PLACES]), *(["..."] if len(places) > PLACES else [])])
