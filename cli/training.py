"""Shared code of the commands that train: options, progress and results."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds, options
from keras_transformer.cli.spread import PLACES, place_options, spread
from keras_transformer.zoo.errors import RunError


@contextmanager
def session(
    out: Path, tensorboard: Path | None, log: Path | None = None
) -> Iterator[dict[str, Any]]:
    """Provides the `report` and `scalars` of a run; if interrupted, prints how to resume."""
    from keras_transformer.cli import display
    from keras_transformer.cli.memory import keep_freed_memory
    from keras_transformer.zoo.distributed.devices import is_writer
    from keras_transformer.zoo.progress import Report
    from keras_transformer.zoo.training.run_folder import states_of

    keep_freed_memory()
    if not is_writer():
        # The first process of several reports for all.
        yield {"report": Report(), "scalars": None}
        return
    display.device()
    with display.Progress() as progress, written(tensorboard, log, progress.note) as scalars:
        try:
            yield {"report": progress, "scalars": scalars}
        except (OSError, RunError, KeyboardInterrupt) as error:
            cut_off = not isinstance(error, FileExistsError | FileNotFoundError)
            if cut_off and (states_of(out) / "state").exists():
                progress.note(f"{states_of(out)} holds the last state; --resume goes on from it.")
            raise


@contextmanager
def resumable(out: Path, results: str, note: Callable[[str], None]) -> Iterator[None]:
    """Says how to go on with work of many parts that is cut off once `out/results` is there."""
    try:
        yield
    except (KeyboardInterrupt, OSError, RunError) as error:
        cut_off = not isinstance(error, FileExistsError | FileNotFoundError)
        if cut_off and (out / results).exists():
            note(f"{out} holds what was done; --resume goes on from it.")
        raise


@contextmanager
def written(
    tensorboard: Path | None, log: Path | None, note: Callable[[str], None]
) -> Iterator[Callable[[str, float, int], None]]:
    """Provides the function `(name, value, step)` that writes the values of a run's curves."""
    from keras_transformer.cli import curves, logs

    with curves.scalars(tensorboard, note) as curve, logs.logged(log, note) as line:
        writers = [one for one in (curve, line) if one is not None]

        def scalars(name: str, value: float, step: int) -> None:
            for write in writers:
                write(name, value, step)

        yield scalars


def going_on(*, data: str, epochs: str, learning_rate: str) -> Callable[[Callable], Callable]:
    """Adds the options of a command that fine-tunes a checkpoint.

    Args:
        data: possessive of the checkpoint whose recipe names the data, for help.
        epochs, learning_rate: descriptions of their defaults, for help.
    """
    added = (
        click.option(
            "--train", type=kinds.REMOTE_DATA, metavar="FILE",
            help=f"Training data.  [default: that of {data} recipe]",
        ),
        click.option(
            "--validation", type=kinds.REMOTE_DATA, metavar="FILE",
            help=f"Validation data.  [default: that of {data} recipe]",
        ),
        click.option(
            "--epochs", type=kinds.IntegerRange(min=1),
            help=f"Number of passes over the training data.  [default: {epochs}]",
        ),
        click.option(
            "--learning-rate", type=kinds.NUMBER,
            help=f"Peak learning rate.  [default: {learning_rate}]",
        ),
        options.seed(default=None, show_default=False, help="Seed.  [default: the recipe's]"),
        options.out(), options.overwrite(), options.resume(), options.tensorboard(),
    )  # fmt: skip

    def add(command: Callable) -> Callable:
        command = place_options(command)
        for option in reversed(added):
            command = option(command)
        return command

    return add


def spread_by(given: dict[str, Any]) -> AbstractContextManager[None]:
    """Takes the options of `spread` out of a command's, and spreads what runs in the context."""
    return spread(**{name: given.pop(name) for name in PLACES})


def go_on(
    function: Callable, *models: Path | str, out: Path, overwrite: bool, resume: bool,
    tensorboard: Path | None, **given: Any,
) -> tuple[Any, bool]:  # fmt: skip
    """Fine-tunes a checkpoint with the options of `going_on`.

    Args:
        function: function of the models and `out`.
        *models: checkpoint folders, or a name of the catalogue.
        **given: options of the function, None if not given.

    Returns:
        The new checkpoint, and whether its run had ended before it was resumed.
    """
    from keras_transformer.zoo.distributed.devices import is_writer
    from keras_transformer.zoo.training.run_folder import check_run_target

    check_run_target(out, resume=resume, overwrite=overwrite)
    changes = {name: value for name, value in given.items() if value is not None}
    with session(out, tensorboard) as hearers:
        result = function(
            *models, out=out, resume=resume, overwrite=overwrite, **hearers, **changes
        )
        return result, is_writer() and hearers["report"].had_ended


def print_result(
    out: Path, metrics: Mapping[str, Any], baseline: Mapping[str, float] | None = None, *,
    had_ended: bool, is_pretrained: bool = False,
) -> None:  # fmt: skip
    """Prints the validation metrics of the run, and the path of its checkpoint if it wrote that.

    Of several processes the first one does.

    Args:
        out: the checkpoint.
        metrics: of the model.
        baseline: of n-grams on the same data, if they were fitted.
        had_ended: whether the run had ended before it was resumed, so that nothing is written.
        is_pretrained: whether the run began with published weights.
    """
    from keras_transformer.cli import display
    from keras_transformer.zoo.distributed.devices import is_writer

    if not is_writer():
        return
    advice = (
        "Try more epochs or more data." if is_pretrained else
        "Try a pretrained model first (keras-transformer models lists them), then more epochs or "
        "more data."
    )  # fmt: skip
    shown = {name: value for name, value in metrics.items() if isinstance(value, float | str)}
    rows = [(display.words(name), value) for name, value in shown.items()]
    for name, value in (baseline or {}).items():
        rows.append((f"{display.words(name)} of n-grams", value))
    display.table(None, ("Validation metric", "Value"), rows)
    for name, value in (baseline or {}).items():
        if value > metrics[name]:
            display.note(
                f"A linear classifier of n-grams has the better {display.words(name)} here: "
                f"{value:.2%} against {metrics[name]:.2%}. {advice}"
            )
    if not had_ended:
        display.say(f"\nWrote {out}")
