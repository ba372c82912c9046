"""`keras-transformer sweep`: a model trained with many combinations of options, and compared."""

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_transformer.cli import kinds, options, training
from keras_transformer.cli.spread import check_engine, engine_options, spread
from keras_transformer.cli.train import MIXED, arguments_of, settings_of
from keras_transformer.cli.train import train as train_command
from keras_transformer.zoo.errors import RunError

# Training imports TensorFlow.
if TYPE_CHECKING:
    from keras_transformer.zoo.sweep.result import Sweep, Trial

# Options of `train` that are others here, and those of processes of one run.
_OTHERS = (
    "out", "overwrite", "resume", "tensorboard", "log", "profile", "engine", "workers",
    "restarts", "coordinator", "processes", "process",
)  # fmt: skip
# Options of `train` that Python has by another name, and the values by theirs.
_PYTHON = {"mixed_precision": ("dtype", MIXED)}


@click.command()
@click.option(
    "--vary", type=kinds.TEXT, multiple=True, required=True, metavar="NAME=VALUE,VALUE,...",
    help="Values of an option of train, or of a setting of the model as in --set, such as "
    "learning_rate=1e-4,3e-4 or dropout=0,0.1; also a list in JSON. May be repeated: all "
    "combinations are trained.",
)
@click.option(
    "--trials", type=kinds.IntegerRange(min=1), metavar="N",
    help="Number of combinations, drawn at random with --seed.  [default: all]",
)
@options.out(help="Folder for the checkpoints of all trials and the table, sweep.json.")
@options.overwrite(help="Discard an existing sweep in --out.")
@options.resume(
    help="Continue an interrupted sweep in --out, whose trials go on from their last saved state."
)
@options.tensorboard(help="Folder for a folder of training curves for each trial, for TensorBoard.")
@options.log(
    help="File to which each value of the training curves is added as a line, .csv or .jsonl; one "
    "for each trial, whose name stands before the suffix."
)
@options.profile(help="Folder for a folder with a trace of the first steps of each trial.")
@engine_options
def sweep(
    vary: tuple[str, ...], trials: int | None, out: Path, overwrite: bool, resume: bool,
    tensorboard: Path | None, log: Path | None, profile: Path | None, engine: str | None,
    workers: int | None, restarts: int | None, distribute: str | None, **given: Any,
) -> None:  # fmt: skip
    """Train a MODEL with each combination of some options, and show which is best.

    Each trial is a run of train with the same other options, and its checkpoint is in --out under a
    name that says what was varied. Trials are compared by the validation metric that selects their
    epochs, and never on test data.

    Example: keras-transformer sweep bert_tiny --train train.tsv --validation dev.tsv --vary
    learning_rate=1e-4,3e-4 --vary dropout=0,0.1 --out sweep
    """
    restarts = check_engine(engine, workers, restarts)
    if engine is not None and distribute is not None:
        raise click.UsageError(
            f"Expected no --distribute beside --engine {engine}, whose trials are one process each."
        )
    run = arguments_of(overwrite=overwrite, **given)
    run.pop("overwrite")
    curves = {"tensorboard": tensorboard, "log": log, "profile": profile}
    with spread(distribute, None, None, None):
        found = _swept(
            run, _values(vary), trials, out, curves, engine=engine, workers=workers,
            restarts=restarts, overwrite=overwrite, resume=resume,
        )  # fmt: skip
    _print(found, out, baseline=given["baseline"], distribute=distribute)


sweep.params += [
    one for one in train_command.params if one.expose_value and one.name not in _OTHERS
]


def _swept(
    run: dict[str, Any], vary: dict[str, list[Any]], trials: int | None, out: Path,
    curves: dict[str, Path | None], *, engine: str | None, workers: int | None, restarts: int,
    **given: Any,
) -> "Sweep":  # fmt: skip
    from keras_transformer.cli import display
    from keras_transformer.cli.memory import keep_freed_memory
    from keras_transformer.zoo.sweep.sweep import RESULTS
    from keras_transformer.zoo.sweep.sweep import sweep as zoo_sweep

    keep_freed_memory()
    if engine is not None:
        from keras_transformer.cli.trials import runs_on_ray

        given["engine"] = runs_on_ray(
            workers=workers, restarts=restarts, out=out, run=run, curves=curves
        )
    else:
        display.device()
    with display.Progress() as progress, training.resumable(out, RESULTS, progress.note):
        return zoo_sweep(
            **run, vary=vary, trials=trials, out=out, report=progress,
            watched=lambda trial: watched(trial, **curves, note=progress.note), **given,
        )  # fmt: skip


@contextmanager
def watched(
    trial: "Trial", *, tensorboard: Path | None, log: Path | None, profile: Path | None,
    note: Callable[[str], None],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Provides the arguments of `train` that write the curves and the trace of a trial."""
    log = log and log.with_name(f"{log.stem}.{trial.name}{log.suffix}")
    with training.written(tensorboard and tensorboard / trial.name, log, note) as scalars:
        yield {"scalars": scalars, "profile": profile and profile / trial.name}


def _values(pairs: Sequence[str]) -> dict[str, list[Any]]:
    """Parses `NAME=VALUE,VALUE`, with values as the option of `train` takes them."""
    known = {one.name: one for one in train_command.params if one.name not in _OTHERS}
    found: dict[str, list[Any]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.replace("-", "_")
        if not name or not equals:
            raise _mistake(f"Expected NAME=VALUE,VALUE,..., got {pair!r}.")
        words = _words(pair, text)
        try:
            values = [_value(known.get(name), name, word) for word in words]
        except click.BadParameter as error:
            raise _mistake(f"{name}: {error.message}") from None
        name, others = _PYTHON.get(name, (name, {}))
        if name in found:
            raise _mistake(f"Expected {name} once, got it twice.")
        found[name] = [others.get(value, value) for value in values]
    return found


def _words(pair: str, text: str) -> list[str]:
    """The values of an option: between commas, or those of a list in JSON."""
    if not text.startswith("["):
        return text.split(",")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise _mistake(f"Expected a list in JSON, got {pair!r}.") from None
    return [one if isinstance(one, str) else json.dumps(one) for one in values]


def _value(option: click.Parameter | None, name: str, word: str) -> Any:
    """A value as an option of `train` takes it, or as `--set` a setting of the model."""
    if option is None:
        return settings_of(None, None, (f"{name}={word}",))[name]
    return option.type.convert(word, option, click.get_current_context())


def _mistake(sentence: str) -> click.BadParameter:
    return click.BadParameter(sentence, param_hint="'--vary'")


def _print(found: "Sweep", out: Path, *, baseline: bool, distribute: str | None) -> None:
    """Prints the table, and the command that repeats the best trial."""
    from keras_transformer.cli import display

    display.grids(found)
    best = found.best
    if best is None:
        raise RunError(f"No trial of {out} has a checkpoint; the table says why.")
    again = ["keras-transformer", "train", "--recipe", str(out / best.name / "recipe.json")]
    again += [] if baseline else ["--no-baseline"]
    again += [] if distribute is None else ["--distribute", distribute]
    display.say(
        f"\nThe best is {out / best.name}; once more:\n{shlex.join([*again, '--out', 'my_model'])}"
    )
