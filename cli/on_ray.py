"""Runs whose processes Ray starts, on the machines of its cluster, and starts again if one dies."""

import contextlib
import functools
import io
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import display
from keras_transformer.cli.quiet import is_quiet, without_logs
from keras_transformer.zoo.errors import InputError, LostError, RunError
from keras_transformer.zoo.storage.beside import parents_made, remove, target
from keras_transformer.zoo.storage.locks import written_aside

# What is not tried again: the same would come of it. Others are for Ray, as a process that died is.
FINAL = (InputError, RunError, OSError, click.ClickException)
INSTALL = "pip install 'keras-transformer-zoo[ray]'"
# Variables of this process that those of Ray have too, of whatever machine.
_PASSED = ("KERAS_BACKEND", "JAX_", "RAY_TRAIN_", "XLA_")
# Seconds between looks at what process 0 has written.
_LOOKS = 0.2


@contextlib.contextmanager
def ray_started(workers: int, kind: str | None = None) -> Iterator[Any]:
    """Connects to the cluster of RAY_ADDRESS or of this machine, or starts one on this machine.

    Args:
        workers: number of processes that run at a time.
        kind: `CPU` or `GPU`, of which each has one; by default GPU if there are any.

    Yields:
        The module `ray`.

    Raises:
        InputError: Ray is not installed, or its cluster has fewer processors.
    """
    # Its own words, and what it reports of its use, are not asked for.
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_TRAIN_ENABLE_PRINT_PATCH"):
        os.environ.setdefault(name, "0")
    try:
        import ray
        import ray.train
    except ImportError as error:
        raise InputError(
            f"Expected Ray to be installed for --engine ray, got none ({error}); run: "
            f"{INSTALL}."
        ) from error
    passed = {name: value for name, value in os.environ.items() if name.startswith(_PASSED)}
    handled = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            log_to_driver=not is_quiet(), include_dashboard=False,
            logging_level=logging.ERROR if is_quiet() else logging.INFO,
            runtime_env={"env_vars": passed},
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RunError(f"Ray did not start: {error}") from error
    # Ray has its own, which ends the process with a stack.
    signal.signal(signal.SIGTERM, handled)
    try:
        kind = kind or ("GPU" if has_gpus(ray) else "CPU")
        if workers > (count := int(ray.cluster_resources().get(kind, 0))):
            raise InputError(
                f"Expected workers to be at most the number of Ray's {kind}s, {count}, got "
                f"workers={workers}."
            )
        if workers > (free := int(ray.available_resources().get(kind, 0))):
            display.note(f"Of {workers} {kind}s Ray has {free} free; waiting for the others.")
        yield ray
    finally:
        ray.shutdown()


def has_gpus(ray: Any) -> bool:
    """Returns whether processes on the cluster have a GPU each."""
    return os.environ.get("JAX_PLATFORMS") != "cpu" and ray.cluster_resources().get("GPU", 0) > 0


class Desk:
    """What the processes of a run say, for the one that had them started; an actor of Ray."""

    def __init__(self):
        self._starts = 0
        self._said: list[tuple[str, str]] = []
        self._error: BaseException | None = None

    def begin(self) -> int:
        """Counts a start of all processes, and returns how many there were before."""
        self._starts += 1
        return self._starts - 1

    def say(self, stream: str, text: str) -> None:
        """Receives what process 0 writes to `stdout` or `stderr`."""
        self._said.append((stream, text))

    def end(self, error: BaseException) -> None:
        """Receives an error that a new start would only repeat; the first one counts."""
        self._error = self._error or error

    def take(self) -> tuple[list[tuple[str, str]], BaseException | None]:
        """Returns what was said since the last time, and the error that ends the run if any."""
        said, self._said = self._said, []
        return said, self._error


class _Relay(io.TextIOBase):
    """A stream whose text goes to a desk."""

    def __init__(self, desk: Any, name: str, encoding: str):
        self._desk, self._name, self._encoding = desk, name, encoding

    @property
    def encoding(self) -> str:
        return self._encoding

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._desk.say.remote(self._name, text)
        return len(text)


def run_on_ray(
    work: Callable[..., None], *, distribute: str, workers: int, restarts: int, out: Path,
    resume: bool,
) -> None:  # fmt: skip
    """Runs a function in processes that Ray Train starts, each with its share of every batch.

    If one dies, all are started again and go on from the last saved state. What process 0 prints
    is printed here.

    Args:
        work: function of `resume`, importable by name.
        distribute: see `zoo.distributed.devices.distributed`.
        workers: number of processes, with a GPU each if the cluster has any.
        restarts: how often they are started again.
        out: what they write, in a folder that all share.
        resume: whether the first start goes on from a state too.

    Raises:
        InputError: for what `ray_started` or `work` raises it, or a folder that is not shared.
        RunError: a process was lost once too often.
    """
    with ray_started(workers) as ray, _shared_folder(out) as shared:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

        desk = ray.remote(num_cpus=0)(Desk).remote()
        process = functools.partial(
            _process, work, desk=desk, distribute=distribute, resume=resume, shared=shared,
            folder=Path.cwd(), encoding=getattr(sys.stdout, "encoding", None) or "utf-8",
            verbose=not is_quiet(),
        )  # fmt: skip
        trainer = DataParallelTrainer(
            process, scaling_config=ScalingConfig(num_workers=workers, use_gpu=has_gpus(ray)),
            run_config=RunConfig(
                name="run", storage_path=str(shared),
                failure_config=FailureConfig(max_failures=restarts),
            ),
        )  # fmt: skip
        # In another process, as it would take Ctrl-C for itself.
        fitting = ray.remote(num_cpus=0, max_retries=0)(_fit).remote(trainer)
        is_over = False
        while not is_over:
            # Not in `ray.wait`, which makes Ctrl-C of other signals.
            time.sleep(_LOOKS)
            is_over = bool(ray.wait([fitting], timeout=0)[0])
            _pass_on(*ray.get(desk.take.remote()))
        failure = ray.get(fitting)
        if failure is not None:
            raise _in_words(failure, restarts)


def _fit(trainer: Any) -> Exception | None:
    """Runs Ray's trainer, and returns why it gave up, if it did."""
    try:
        trainer.fit()
    except Exception as error:
        return error
    return None


def _in_words(failure: Exception, restarts: int) -> Exception:
    """The error to raise for one of Ray's: a bug of ours stays as it is."""
    causes = getattr(failure, "worker_failures", {}).values()
    if not causes and type(failure).__module__.startswith("ray."):
        return RunError(f"Ray did not start the processes: {failure}")
    if any(isinstance(one, LostError) or type(one).__module__.startswith("ray.") for one in causes):
        return RunError(
            f"A process of the run was lost after {restarts} restarts; go on from the last state "
            "with --resume, and more of --restarts."
        )
    return failure


def _pass_on(said: list[tuple[str, str]], error: BaseException | None) -> None:
    for name, text in said:
        stream = getattr(sys, name)
        stream.write(text)
        stream.flush()
    if error is not None:
        raise error


@contextlib.contextmanager
def _shared_folder(out: Path) -> Iterator[Path]:
    """Makes the folder beside a result in which Ray keeps what it writes of a run."""
    out = target(out)
    with parents_made(out), written_aside(out, Path.mkdir) as shared:
        try:
            yield shared
        finally:
            remove(shared)


def check_place(out: Path, folder: Path) -> None:
    """Goes to the folder of the command, on a machine of Ray's.

    Raises:
        InputError: this machine has no such folder, or what is written there does not lie here.
    """
    for path in (folder, folder / out):
        if not path.exists():
            raise InputError(
                "Expected results, data and the folder of the command where all machines of Ray "
                f"share them, got {path}, which {socket.gethostname()} does not find."
            )
    os.chdir(folder)


def _process(
    work: Callable[..., None], *, desk: Any, distribute: str, resume: bool, shared: Path,
    folder: Path, encoding: str, verbose: bool,
) -> None:  # fmt: skip
    """Runs in each process: brings it together with the others, and does the work."""
    import ray
    from ray.train import get_context
    from ray.train.collective import broadcast_from_rank_zero

    rank, count = get_context().get_world_rank(), get_context().get_world_size()
    place = None
    if rank == 0:
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        place = (f"{ray.util.get_node_ip_address()}:{port}", ray.get(desk.begin.remote()))
    coordinator, starts = broadcast_from_rank_zero(place)
    if rank == 0 and starts:
        desk.say.remote("stderr", f"Note: A process was lost; Ray starts all again ({starts}).\n")
    os.environ.setdefault("KERAS_BACKEND", "jax")
    with contextlib.ExitStack() as stack:
        if not verbose:
            stack.enter_context(without_logs())
        if rank == 0:
            for name in ("stdout", "stderr"):
                relay = _Relay(desk, name, encoding)
                stack.enter_context(getattr(contextlib, f"redirect_{name}")(relay))
        try:
            check_place(shared, folder)
            from keras_transformer.zoo.distributed.devices import distributed

            try:
                with distributed(
                    distribute, coordinator=coordinator, processes=count, process=rank
                ):
                    work(resume=resume or starts > 0)
            except LostError:
                raise
            except FINAL as error:
                ray.get(desk.end.remote(error))
            except ImportError as error:
                lacking = InputError(
                    "Expected all that trains to be installed on every machine of Ray, got an "
                    f"error: {error}; run: {INSTALL}."
                )
                ray.get(desk.end.remote(lacking))
        finally:
            # All that was written has arrived when this has.
            ray.get(desk.say.remote("stdout", ""))
