"""Trials of a search or a sweep as tasks of Ray, which runs those again whose process dies."""

import contextlib
import functools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_transformer.cli.on_ray import FINAL, check_place, has_gpus, ray_started
from keras_transformer.zoo.errors import RunError

# They import TensorFlow.
if TYPE_CHECKING:
    from keras_transformer.edge.choose.bench import Bench
    from keras_transformer.edge.choose.candidates import Candidate
    from keras_transformer.edge.choose.search_result import Measured
    from keras_transformer.zoo.sweep.result import Trial

# Seconds between looks at what has ended.
_LOOKS = 0.2


def trials_on_ray(
    *, workers: int, restarts: int, out: Path, **bench: Any
) -> Callable[[Sequence["Candidate"]], Iterator["Measured"]]:
    """Returns the `trials` of `edge.choose.search` that run on the cluster of Ray.

    Args:
        workers: number of trials at a time.
        restarts: how often Ray starts a trial again whose process died.
        out: folder of the search, which all machines share.
        **bench: arguments of `Bench` in JSON.
    """

    def trials(candidates: Sequence["Candidate"]) -> Iterator["Measured"]:
        if not candidates:
            return
        with _tasks(workers, restarts, kind="CPU") as (ray, task):
            train, measure = task(_train), task(_measure)
            job = json.dumps({"out": str(out), "folder": os.getcwd(), **bench})
            trained: dict[str, Any] = {}
            running = []
            for candidate in candidates:
                source = ""
                for step in candidate.trainings:
                    if step.source not in trained:
                        # Ray begins it when that of the source has ended, with its value.
                        trained[step.source] = train.remote(
                            job, step, source, trained.get(source)
                        )
                    source = step.source
                running.append(measure.remote(job, candidate, trained.get(source)))
            yield from _as_they_end(ray, running, restarts)

    return trials


def runs_on_ray(
    *, workers: int, restarts: int, out: Path, run: Mapping[str, Any], curves: Mapping[str, Any]
) -> Callable[[Sequence["Trial"]], Iterator["Trial"]]:
    """Returns the `engine` of `zoo.sweep.sweep` that trains on the cluster of Ray.

    Args:
        workers: number of trials at a time, each with a GPU if the cluster has any.
        restarts: how often Ray starts a trial again whose process died, from its last state.
        out: folder of the sweep, which all machines share.
        run: arguments of `train` that all trials share.
        curves: where their curves are written, see `cli.sweep.watched`.
    """

    def engine(trials: Sequence["Trial"]) -> Iterator["Trial"]:
        with _tasks(workers, restarts) as (ray, task):
            job = {"out": out, "folder": Path.cwd(), "run": run, "curves": curves}
            yield from _as_they_end(
                ray, [task(_run).remote(job, trial) for trial in trials], restarts
            )

    return engine


@contextlib.contextmanager
def _tasks(
    workers: int, restarts: int, kind: str | None = None
) -> Iterator[tuple[Any, Callable[[Callable], Any]]]:
    """Starts Ray, and gives what makes a task of a function, of which so many run at a time.

    Args:
        workers, kind: see `ray_started`.
        restarts: how often a task is tried again whose process died.
    """
    with ray_started(workers, kind) as ray:
        gpus = int(kind is None and has_gpus(ray))
        places = ray.util.placement_group([{"CPU": 1, **({"GPU": 1} if gpus else {})}] * workers)
        strategy = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(places)
        yield ray, ray.remote(
            num_cpus=1, num_gpus=gpus, max_retries=restarts, scheduling_strategy=strategy
        )


def _as_they_end(ray: Any, running: list[Any], restarts: int) -> Iterator[Any]:
    """Yields what tasks return, in the order in which they end."""
    while running:
        done, running = ray.wait(running, timeout=0)
        if not done:
            # Not in `ray.wait`, which makes Ctrl-C of other signals.
            time.sleep(_LOOKS)
            continue
        try:
            row = ray.get(done[0])
        except ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, FINAL) else error from None
        except ray.exceptions.RayError as error:
            raise RunError(
                f"A trial was lost after {restarts} restarts; go on with --resume."
            ) from error
        yield row


def _run(job: Mapping[str, Any], trial: "Trial") -> "Trial":
    """Trains a trial of a sweep, or goes on from its last state."""
    check_place(job["out"], job["folder"])
    from keras_transformer.cli.sweep import watched
    from keras_transformer.zoo.progress import Report
    from keras_transformer.zoo.sweep.trial import run_trial

    report = Report()
    with watched(trial, **job["curves"], note=report.note) as hearers:
        return run_trial(trial, job["out"], job["run"], report=report, **hearers)


@functools.lru_cache(maxsize=1)
def _bench(job: str) -> "Bench":
    """The bench of this process, which Ray gives one trial after the other."""
    arguments = json.loads(job)
    check_place(Path(arguments["out"]), Path(arguments.pop("folder")))
    from keras_transformer.edge.choose.bench import Bench

    # What another trial has trained is not trained again.
    return Bench(**arguments, resume=True)


def _train(job: str, candidate: "Candidate", base: str, failed: str | None) -> str | None:
    """Trains a candidate's checkpoint on a base; returns the reason if either fails."""
    if failed is not None:
        return failed
    bench = _bench(job)
    bench.workshop.take(base)
    return bench.train(candidate)


def _measure(job: str, candidate: "Candidate", failed: str | None) -> "Measured":
    """Makes and measures a candidate, unless its checkpoint failed."""
    from keras_transformer.edge.choose.search_result import Measured

    if failed is not None:
        return Measured(candidate=candidate, error=failed)
    bench = _bench(job)
    bench.workshop.take(candidate.source)
    return bench.measure(candidate)
