"""What a sweep is to do, checked before any of it is done."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from keras_transformer.zoo.data.columns import COLUMNS
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.fused_config import members_of
from keras_transformer.zoo.recipe import OPTIONS, Recipe
from keras_transformer.zoo.recipe.training_data import is_path, rows_digest, source_digest
from keras_transformer.zoo.sweep.trial import arguments_of, is_option
from keras_transformer.zoo.tasks.registry import task_named
from keras_transformer.zoo.training.train import option_names, planned
from keras_transformer.zoo.training.train_recipe import opened

# Arguments of `train` that change no recipe.
_BESIDE = ("baseline", "peak", "prepared", "profile")
# Options that say what the rows are.
_OF_ROWS = ("labels", "split_seed")
# Options that change what a loss is the mean of, beside columns and those of tokenizers.
_OF_LOSS = ("mask_share", "objective")
_FUSION = ("fusion", "fusion_layers")


def plan(run: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]]) -> Recipe:
    """Checks all trials of a sweep, and returns the recipe of the first.

    Args:
        run: arguments of `train` that all trials share.
        wanted: the trials' own options.

    Raises:
        InputError: an option has no such name, is given beside its values, or has a value that no
            run can have; or the values of the metric would not compare.
        FileNotFoundError, TypeError: as `train`.
    """
    for name in wanted[0]:
        if any(given.get(name) is not None for given in (run, run.get("settings") or {})):
            raise InputError(
                f"Expected either one value of {name} or several to vary, got both; leave one out."
            )
    _check_names(run, wanted[0])
    recipes, starts, metrics = [], {}, {}
    for options in wanted:
        recipe, chosen = _recipe(run, options)
        name = recipe.model.name
        _, starts[name], config = opened(recipe, chosen, starts.get(name))
        task = task_named(recipe.task).of_columns(recipe.data.columns).reading(config.modality)
        metrics[task.with_options(recipe.task_options).selection.name] = recipe.task
        recipes.append(recipe)
    _check_metrics(metrics, wanted[0])
    return recipes[0]


def _recipe(
    run: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[Recipe, Collection[str] | None]:
    """The recipe of a trial, and the names of the options that the user chose."""
    arguments = arguments_of(run, options)
    recipe, given = planned(**{name: arguments[name] for name in arguments.keys() - _BESIDE})
    return recipe, given["chosen"]


def _check_names(run: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raises InputError if a name is neither of an option of runs nor of a setting of the model."""
    known = ["model", *(name for name in option_names(()) if name not in _OF_ROWS)]
    own = {name: options[name] for name in options if name in known or name in COLUMNS}
    others = [name for name in options if name not in own]
    if not others:
        return
    _, _, config = opened(*_recipe(run, own))
    members = members_of(config)
    settings = [field.name for field in fields(members[0])]
    settings += [name for one in members for name in one.modality_settings]
    settings += _FUSION if len(members) > 1 else ()
    for name in others:
        if is_option(name) or name.rpartition(".")[2] not in settings:
            raise InputError(
                f"Expected vary to name an option of a run among {', '.join(known)}; or a setting "
                f"of the model (keras-transformer models lists them), got {name!r}."
            )


def _check_metrics(metrics: Mapping[str, str], names: Iterable[str]) -> None:
    """Raises InputError if the values by which epochs are selected do not compare.

    Args:
        metrics: the task of each metric.
        names: names of the options that differ.
    """
    if len(metrics) > 1:
        raise InputError(
            "Expected options with which one metric selects the epochs of all trials, got "
            f"{' and '.join(metrics)} for {', '.join(names)}."
        )
    ((metric, task),) = metrics.items()
    for name in names if metric == "loss" else ():
        changes_tokens = name in OPTIONS and OPTIONS[name].part == "tokenizer"
        if changes_tokens or name in _OF_LOSS or name in COLUMNS:
            raise InputError(
                f"Expected options with which losses compare, by which epochs of {task} are "
                f"selected, got {name} to vary."
            )


def identity(recipe: Recipe, run: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Returns what all trials of a sweep have in common, as a JSON-serializable object.

    Args:
        recipe: recipe of a trial.
        run: arguments of `train` that all share.
        names: names of the options that differ.

    Raises:
        FileNotFoundError, InputError: there are no such data.
    """
    shared = json.loads(recipe.to_json())
    for name in names:
        if name in OPTIONS:
            del shared[OPTIONS[name].part][OPTIONS[name].field]
        elif name in COLUMNS:
            del shared["data"]["columns"][name]
        else:
            shared["model"]["settings"].pop(name, None)
    del shared["data"]["digest"]
    for name in ("train", "validation"):
        # The same data may lie elsewhere.
        place = shared["data"][name]
        shared["data"][name] = source_digest(place) if place else _rows_digest(run.get(name))
    return {"task": shared.pop("task"), **{name: part for name, part in shared.items() if part}}


def _rows_digest(source: Any) -> str:
    """The SHA-256 of data in memory; empty for a share of the training data."""
    if source is None or isinstance(source, int | float) or is_path(source):
        return ""
    if hasattr(source, "keys"):
        source = [(name, list(source[name])) for name in source.keys()]
    return rows_digest(_plain(one) for one in source)


def _plain(value: Any) -> Any:
    """A column, a row or columns by kind, as JSON has them."""
    if hasattr(value, "keys"):
        return {name: _plain(value[name]) for name in value.keys()}
    is_column = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return list(value) if is_column and not hasattr(value, "tobytes") else value
