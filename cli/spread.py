"""Runs over several devices and processes: options, and how a process of several ends."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from keras_transformer.cli import kinds
from keras_transformer.cli.errors import CommandError, in_one_sentence

# The options of `spread`.
SPREAD = ("distribute", "coordinator", "processes", "process")


def spread_options(command: Callable) -> Callable:
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
    for option in reversed(added):
        command = option(command)
    return command


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
