"""Runs over several devices and processes: options, and how a process of several ends."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds
from keras_transformer.cli.errors import CommandError, in_one_sentence

# Names of the options of `place_options` and of `spread_options`.
PLACES = ("distribute", "coordinator", "processes", "process")
SPREAD = (*PLACES, "engine", "workers", "restarts")
DEFAULT_RESTARTS = 3
ENGINE = (
    click.option(
        "--engine", type=click.Choice(("ray",)),
        help="What starts the processes: ray, on the cluster that it finds or else on this "
        "machine.",
    ),
    click.option(
        "--workers", type=kinds.IntegerRange(min=1), metavar="N",
        help="Number of processes of --engine, each with a GPU if Ray has any.",
    ),
    click.option(
        "--restarts", type=kinds.IntegerRange(min=0), metavar="N",
        help="How often --engine starts again what a lost process did, from the last saved state."
        f"  [default: {DEFAULT_RESTARTS}]",
    ),
)  # fmt: skip


def place_options(command: Callable) -> Callable:
    """Adds the options of `spread` to a command."""
    added = (
        click.option(
            "--distribute", type=kinds.TEXT, metavar="data|fsdp|model:N|data,model:N",
            help="Spread the run over all devices, on JAX: data divides the rows of each batch; "
            "fsdp the weights too; model:N divides each large weight over N devices. The same "
            "command is started once a process under SLURM, Open MPI or Kubernetes, or with the "
            "three options below.",
        ),
        click.option(
            "--coordinator", type=kinds.TEXT, metavar="HOST:PORT",
            help="Where the processes of --distribute find each other, on the machine of process "
            "0.  [default: that of the cluster]",
        ),
        click.option(
            "--processes", type=kinds.IntegerRange(min=1), metavar="N",
            help="Number of processes of --distribute.  [default: that of the cluster]",
        ),
        click.option(
            "--process", type=kinds.IntegerRange(min=0), metavar="I",
            help="Index of this process, from 0.  [default: that of the cluster]",
        ),
    )  # fmt: skip
    return _with(command, added)


def spread_options(command: Callable) -> Callable:
    """Adds the options of `run_spread` to a command."""
    return place_options(engine_options(command))


def engine_options(command: Callable) -> Callable:
    """Adds the options of an engine that starts processes to a command."""
    return _with(command, ENGINE)


def _with(command: Callable, added: Sequence[Callable]) -> Callable:
    for option in reversed(added):
        command = option(command)
    return command


def check_engine(engine: str | None, workers: int | None, restarts: int | None) -> int:
    """Checks the options of an engine, and returns the number of restarts.

    Raises:
        click.UsageError: one stands alone.
    """
    if engine is None:
        for name, value in (("workers", workers), ("restarts", restarts)):
            if value is not None:
                raise click.UsageError(f"Expected --{name} only with --engine.")
    elif workers is None:
        raise click.UsageError(f"Expected --workers N with --engine {engine}.")
    return DEFAULT_RESTARTS if restarts is None else restarts


def run_spread(
    work: Callable[..., None], *, out: Path, resume: bool, distribute: str | None,
    engine: str | None, workers: int | None, restarts: int | None, **place: Any,
) -> None:  # fmt: skip
    """Runs a function in this process, or in those of an engine.

    Args:
        work: function of `resume`, importable by name.
        out: what it writes.
        resume: whether to go on from the last state.
        distribute, engine, workers, restarts, **place: values of `spread_options`.

    Raises:
        click.UsageError: options that do not fit each other.
        InputError, RunError: see `spread` and `run_on_ray`.
    """
    restarts = check_engine(engine, workers, restarts)
    if engine is None:
        with spread(distribute, **place):
            work(resume=resume)
        return
    for name, value in place.items():
        if value is not None:
            raise click.UsageError(
                f"Expected no --{name} beside --engine {engine}, whose processes find each other."
            )
    from keras_transformer.cli.on_ray import run_on_ray

    run_on_ray(
        work, distribute=distribute or "data", workers=workers, restarts=restarts, out=out,
        resume=resume,
    )  # fmt: skip


@contextmanager
def spread(
    distribute: str | None, coordinator: str | None, processes: int | None, process: int | None
) -> Iterator[None]:
    """Spreads what runs in its context over devices, if that is asked for.

    Raises:
        click.UsageError: an option that belongs to `--distribute` stands alone.
        InputError, RunError: see `zoo.distributed.devices.distributed`.
    """
    if distribute is None:
        for name, value in (("coordinator", coordinator), ("processes", processes),
                            ("process", process)):  # fmt: skip
            if value is not None:
                raise click.UsageError(f"Expected --{name} only with --distribute.")
        yield
        return
    # Keras reads it once, when it is imported.
    os.environ.setdefault("KERAS_BACKEND", "jax")
    from keras_transformer.zoo.distributed.devices import distributed, loss_told

    context = click.get_current_context()
    with distributed(
        distribute, coordinator=coordinator, processes=processes, process=process
    ) as devices:
        if devices.processes == 1:
            yield
            return
        try:
            with in_one_sentence(lambda: context.command.get_params(context)), loss_told():
                yield
        except CommandError as error:
            error.show()
            _leave(error.exit_code)
        except BaseException:
            traceback.print_exc()
            _leave(1)


def _leave(exit_code: int) -> None:
    """Ends this process at once: at its ordinary end JAX waits for the others to end too."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(exit_code)
