"""What the commands that train have in common, before and after the run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click


@contextmanager
def session(out: Path, tensorboard: Path | None) -> Iterator[dict[str, Any]]:
    """Gives a run its `report` and `scalars`, and says how to go on where it was cut off."""
    from keras_transformer.cli import display
    from keras_transformer.cli.memory import keep_freed_memory
    from keras_transformer.zoo.errors import RunError
    from keras_transformer.zoo.train import states_of

    keep_freed_memory()
    display.device()
    with display.Progress() as progress, display.scalars(tensorboard) as scalars:
        try:
            yield {"report": progress, "scalars": scalars}
        except (OSError, RunError, KeyboardInterrupt) as error:
            cut_off = not isinstance(error, FileExistsError | FileNotFoundError)
            if cut_off and (states_of(out) / "state").exists():
                progress.note(f"{states_of(out)} holds the last state; --resume goes on from it.")
            raise


def print_result(out: Path, metrics: Mapping[str, Any]) -> None:
    """Prints the validation metrics of the run and where its checkpoint is."""
    from keras_transformer.cli import display

    shown = {name: value for name, value in metrics.items() if isinstance(value, float | str)}
    rows = [(display.words(name), value) for name, value in shown.items()]
    display.table(None, ("Validation metric", "Value"), rows)
    click.echo(f"\nWrote {out}")
