"""Sweep over training options: a checkpoint for each combination, compared on validation data."""

import contextlib
import dataclasses
import json
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.columns.remote import kept_for_now
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.distributed.devices import current
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.prepared.context import prepared_in
from keras_transformer.zoo.progress import Report, default_report
from keras_transformer.zoo.recipe import OPTIONS, Recipe
from keras_transformer.zoo.storage.beside import check_writable, remove, resolved, target
from keras_transformer.zoo.storage.files import write_file
from keras_transformer.zoo.storage.locks import clear_abandoned
from keras_transformer.zoo.sweep.grid import checked, combinations
from keras_transformer.zoo.sweep.plan import identity, plan
from keras_transformer.zoo.sweep.result import Sweep, Trial
from keras_transformer.zoo.sweep.trial import in_memory, run_trial
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.training.run_folder import one_run, states_of

RESULTS = "sweep.json"
_NO_WATCH: AbstractContextManager[dict[str, Any]] = contextlib.nullcontext({})


@needs_backend("train")
@one_run
def sweep(
    model: str | TransformerConfig | SeveralConfig | Recipe | None = None,
    task: Task | str | Mapping[str, Any] | None = None,
    *,
    vary: Mapping[str, Sequence[Any]],
    train: Source | None = None,
    validation: Source | float | None = None,
    out: str | Path,
    trials: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    watched: Callable[[Trial], AbstractContextManager[Mapping[str, Any]]] | None = None,
    engine: Callable[[Sequence[Trial]], Iterable[Trial]] | None = None,
    **options: Any,
) -> Sweep:
    """Trains a model with each combination of some options, and compares the validation metrics.

    Each trial is a run of `train` whose checkpoint is `out/NAME`, where the name says its options.
    `out/sweep.json` is written after each; a trial whose loss is no longer finite has its reason
    there, and the others go on.

    Args:
        model, task, train, validation: see `train`. Trials are compared on the validation data
            alone; what is left of the better is measured on test data, once and afterwards.
        vary: values of each option of `train`, or of settings of the model, that differs between
            trials: `{"learning_rate": [1e-4, 3e-4], "dropout": [0, 0.1]}`.
        out: the folder.
        trials: number of combinations, drawn at random with the run's seed; all by default.
        resume: whether to go on with the sweep in the folder, with the same or other values.
        overwrite: whether to discard the sweep in the folder.
        report: receives progress callbacks of all trials.
        watched: context that provides further arguments of `train` for a trial, such as `scalars`.
        engine: function that runs trials elsewhere, in any order, each with `run_trial`; by default
            they run here, one after the other.
        **options: other arguments of `train`, the same for all trials.

    Raises:
        InputError: for a mistake in the options or the data.
        TypeError: as `train`.
        FileExistsError: the folder holds a sweep already, or something else, or a sweep of it is
            under way.
    """
    out, report = resolved(out), report or default_report()
    check_writable(target(out) / RESULTS)
    if (devices := current()) is not None and devices.processes > 1:
        raise InputError(
            f"Expected one process for a sweep, got {devices.processes}; give an engine."
        )
    vary = checked(vary)
    run = {
        "model": model, "task": task, "train": in_memory(train),
        "validation": in_memory(validation), **options,
    }  # fmt: skip
    if isinstance(validation, numbers.Real) and not isinstance(model, Recipe):
        # The same rows for all trials, whatever seed they have.
        run.setdefault("split_seed", options.get("seed", OPTIONS["seed"].default))
    seed = model.training.seed if isinstance(model, Recipe) else OPTIONS["seed"].default
    wanted = combinations(vary, trials, options.get("seed", seed))
    recipe = plan(run, wanted)
    prepared = options.get("prepared")
    with kept_for_now() if prepared is None else prepared_in(prepared, 0, missing="refuse"):
        shared = identity(recipe, run, vary)
    found = Sweep(
        run=shared, vary=list(vary), trials=[Trial(options=one) for one in wanted]
    )
    found = _begin(out, found, resume=resume, overwrite=overwrite)
    names = {trial.name: number for number, trial in enumerate(found.trials, start=1)}

    def say(trial: Trial) -> None:
        report.note(f"{trial.name}, {names[trial.name]} of {len(names)}.")

    def in_turn(wanted: Sequence[Trial]) -> Iterator[Trial]:
        for trial in wanted:
            say(trial)
            with watched(trial) if watched is not None else _NO_WATCH as hearers:
                ended = run_trial(trial, out, run, report=report, **hearers)
            if ended.error is not None:
                report.note(ended.error)
            yield ended

    planned = {Trial(options=one).name for one in wanted}
    missing = [one for one in found.trials if one.name in planned and not one.has_ended]
    # What is fetched serves all trials here.
    with kept_for_now() if prepared is None else contextlib.nullcontext():
        for trial in (engine or in_turn)(missing) if missing else ():
            if engine is not None:
                say(trial)
            ended = [trial if one.name == trial.name else one for one in found.trials]
            found = dataclasses.replace(found, trials=ended)
            _write(out, found)
    return found


def _begin(out: Path, found: Sweep, *, resume: bool, overwrite: bool) -> Sweep:
    """Prepares the folder, and returns the sweep with what one that is resumed already has."""
    path, earlier = out / RESULTS, []
    if path.exists():
        if not (resume or overwrite):
            raise FileExistsError(
                f"{out} holds a sweep; go on with --resume, or discard it with --overwrite."
            )
        before = _read(path)
        if resume:
            _check_same(out, before, found)
            earlier = [
                trial if trial.error is not None or (out / trial.name).is_dir()
                else Trial(options=trial.options)
                for trial in before.trials
            ]  # fmt: skip
        else:
            for trial in before.trials:
                for one in (out / trial.name, states_of(out / trial.name)):
                    remove(one)
    clear_abandoned(path)
    if not path.exists() and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists and holds no sweep; choose another path.")
    known = {trial.name: trial for trial in earlier}
    ours = [known.pop(trial.name, trial) for trial in found.trials]
    # Those of other values stay.
    found = dataclasses.replace(found, trials=[*ours, *known.values()])
    _write(out, found)
    return found


def _check_same(out: Path, before: Sweep, found: Sweep) -> None:
    if list(before.vary) != list(found.vary):
        raise InputError(
            f"{out} holds a sweep that varies {', '.join(before.vary)}, got "
            f"{', '.join(found.vary)}; discard it with --overwrite, or choose another path."
        )
    wanted = json.loads(json.dumps(found.run))
    if before.run != wanted:
        names = [*wanted, *(name for name in before.run if name not in wanted)]
        changed = [name for name in names if before.run.get(name) != wanted.get(name)]
        raise InputError(
            f"{out} holds a sweep with other {' and '.join(changed)}; discard it with "
            "--overwrite, or choose another path."
        )


def _read(path: Path) -> Sweep:
    try:
        value = json.loads(path.read_bytes())
        trials = [Trial.from_json(one) for one in value["trials"]]
        found = Sweep(run=value["run"], vary=value["vary"], trials=trials)
        _ = [trial.name for trial in trials], ",".join(found.vary), dict(found.run)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path} is not the result of a sweep.") from None
    return found


def _write(out: Path, found: Sweep) -> None:
    text = json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n"
    write_file(out / RESULTS, text.encode(), overwrite=True)
