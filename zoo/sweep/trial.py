"""One trial of a sweep: an ordinary training run."""

import dataclasses
import math
import numbers
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.columns import COLUMNS
from keras_transformer.zoo.errors import LostError, RunError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.recipe import OPTIONS
from keras_transformer.zoo.sweep.result import Trial
from keras_transformer.zoo.training.run_folder import remove_states, states_of
from keras_transformer.zoo.training.train import train


def is_option(name: str) -> bool:
    """Whether a name is of an option of runs; others are of settings of a model."""
    return name in OPTIONS or name in COLUMNS


def arguments_of(run: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `train` of a trial, but for its folder.

    Args:
        run: arguments that all trials share.
        options: the trial's own options.
    """
    settings = {name: value for name, value in options.items() if not is_option(name)}
    own = {name: value for name, value in options.items() if is_option(name)}
    return {**run, **own, "settings": {**(run.get("settings") or {}), **settings}}


def run_trial(trial: Trial, out: Path, run: Mapping[str, Any], **hearers: Any) -> Trial:
    """Trains a trial, or goes on with it from its last state, and returns it with its metrics.

    Args:
        trial: options of the trial.
        out: folder of the sweep, in which the trial's checkpoint is written.
        run: arguments of `train` that all trials share.
        **hearers: further arguments, such as `report`.

    Raises:
        FileExistsError, FileNotFoundError, InputError, OSError: see `train`.
        LostError: another process is gone.
    """
    path = out / trial.name
    has_begun = path.exists() or states_of(path).exists()
    try:
        checkpoint = train(
            **arguments_of(run, trial.options), **hearers, out=path, resume=has_begun
        )
        measured = checkpoint.metrics["validation"]
        metric = _deciding(checkpoint)
        value = metric.value(measured)
        if not math.isfinite(value):
            raise RunError(f"Expected {metric.name} to be finite, got {value}.")
    except LostError:
        raise
    except RunError as error:
        # It would end so again, from whatever state.
        remove_states(states_of(path))
        return dataclasses.replace(trial, error=" ".join(str(error).split()))
    return dataclasses.replace(
        trial, metric=metric.name, value=value, score=float(metric.score(measured)),
        metrics={name: float(one) for name, one in measured.items() if _is_number(one)},
    )  # fmt: skip


def _deciding(checkpoint: Checkpoint) -> Metric:
    """The metric that selected a checkpoint's epoch: the task's, or else its fallback."""
    task = checkpoint.task
    is_defined = checkpoint.metrics["validation"].get(task.selection.name) is not None
    return task.selection if is_defined or task.fallback is None else task.fallback


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def in_memory(source: Any) -> Any:
    """Returns rows that can be read for each trial, where a source is an iterator over them."""
    return list(source) if isinstance(source, Iterable) and iter(source) is source else source
