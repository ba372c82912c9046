"""Fusion: one checkpoint of several trained ones, whose outputs or weights are averaged.

What answers as one is built of a `FusedConfig`: one flat model with the layers of every member,
which is evaluated, quantized, converted and distilled like any other. A soup is a model of the
members' own shape.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.fusion.averages import AVERAGES
from keras_transformer.zoo.fusion.members import check_members
from keras_transformer.zoo.fusion.soup import greedy_soup
from keras_transformer.zoo.layer_names import prefix_of
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.fused_config import FUSED, Combination, FusedConfig
from keras_transformer.zoo.models.running.unset import unset_weights
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.recipe.training_data import data_options, is_path, resolved
from keras_transformer.zoo.storage.files import check_folder_target, weights_digest
from keras_transformer.zoo.tasks.run_data import RunData
from keras_transformer.zoo.training.run_data import run_data_of, validation_unknown
from keras_transformer.zoo.training.run_folder import one_run
from keras_transformer.zoo.ways import WAYS

# What a config says of how members' outputs become one.
_COMBINED = ("combine", "weights", "temperatures")


@one_run
def fuse(
    members: Sequence[Checkpoint | str | Path],
    out: str | Path | None = None,
    *,
    by: str = "mean",
    data: Source | None = None,
    overwrite: bool = False,
) -> Checkpoint:
    """Makes one checkpoint of several of the same task, labels and vocabulary.

    Args:
        members: at least two float checkpoints, or their folders.
        out: the new checkpoint folder; None keeps the checkpoint in memory.
        by: `mean` of the members' probabilities of classes (calibrated ones, as the members give
            them), labels, tags or the next token, of their numbers in a regression, of the logits
            of answers, or of unit vectors; `fitted`, that mean with weights that minimize the loss
            on the validation data; `vote` of the classifiers; or `soup`, the mean of the weights of
            models of one shape, see `greedy_soup`, for any task. Of models of several tasks each
            head's outputs are combined by themselves.
        data: validation data: a path, or data in memory; None for the first member's own. Of a
            table of several tasks, the `validation` parts.
        overwrite: whether to replace a checkpoint.

    Returns:
        The checkpoint. Its metrics on the validation data stand beside those of each `member`, with
        its weight, of several tasks the mean of its weights. Members that are fitted a weight below
        `LEAST_WEIGHT` are left out, and a soup those that do not help; what is left may be one of
        the members. It reads as many tokens as the member that reads the fewest. Its recipe names
        the data of the first member, by which it may be trained on.

    Raises:
        FileNotFoundError, InputError: if data or a checkpoint cannot be read, the members' tasks,
            labels, vocabularies or shapes differ, or the task's outputs cannot be fused.
    """
    if out is not None:
        check_folder_target(out, overwrite=overwrite)
    if by not in WAYS:
        raise InputError(f"Expected by to be one of {', '.join(WAYS)}, got by={by!r}.")
    if isinstance(members, str | Path | Checkpoint) or len(members) < 2:
        count = len(members) if isinstance(members, list | tuple) else 1
        raise InputError(f"Expected at least two checkpoints to fuse, got {count}.")
    names = [_name(one, place) for place, one in enumerate(members, start=1)]
    members = [as_checkpoint(one) for one in members]
    check_members(members, names, by)
    longest = min(one.max_length for one in members)
    modality = dataclasses.replace(members[0].modality, max_length=longest)
    members = [dataclasses.replace(one, modality=modality) for one in members]
    run = _run_data(members[0], data)
    changes, rows = _places(members[0], data, run)
    members = [dataclasses.replace(one, rows=rows) for one in members]
    result, weights, measured = (_soup if by == "soup" else _together)(members, by, run)
    result.recipe = result.recipe.replace(max_length=longest, **changes)
    result.metrics = {
        "validation": {**measured.pop(), **validation_unknown(run)},
        "members": [
            {"name": name, "weight": weight, **_plain(metrics)}
            for name, weight, metrics in zip(names, weights, measured, strict=True)
        ],
    }
    if out is not None:
        result.save(out, overwrite=overwrite)
    return result


def worse_note(fused: Checkpoint) -> str | None:
    """Returns a sentence if a fused checkpoint is worse than its best member, else None.

    Args:
        fused: checkpoint of `fuse`, whose metrics are on the validation data.
    """
    metric = fused.task.metric
    own, members = fused.metrics["validation"], fused.metrics["members"]
    if any(one.get(metric.name) is None for one in (own, *members)):
        return None
    best = max(members, key=metric.score)
    if metric.score(own) >= metric.score(best):
        return None
    return (
        f"The {metric.name.replace('_', ' ')} of the members together, {own[metric.name]:.4f}, is "
        f"worse than the {best[metric.name]:.4f} of {best['name']} alone on the validation data."
    )


def _together(
    members: Sequence[Checkpoint], by: str, run: RunData
) -> tuple[Checkpoint, list[float], list[dict[str, Any]]]:
    """The fused checkpoint, the members' weights, and the metrics of the members and of itself."""
    first = members[0]
    average = AVERAGES[first.output_kind](run)
    outputs = list(map(average.outputs, members))
    combined = average.combined([one.task for one in members], outputs, by)
    weights = _weights(combined)
    kept = [place for place, weight in enumerate(weights) if weight]
    if len(kept) == 1:
        result = members[kept[0]]
        result = dataclasses.replace(result, probes=run.probes(result.recipe.training.seed))
    else:
        config = FusedConfig(
            members=tuple(members[place].config for place in kept), outputs=_of(combined, kept)
        )
        with unset_weights():
            model = build(config, first.task)
        set_weights(
            model,
            {
                f"{prefix_of(number)}{path}": value
                for number, place in enumerate(kept)
                for path, value in get_weights(members[place].model).items()
            },
        )
        values = config.to_json()
        recipe = first.recipe.replace(
            model=FUSED, published={}, settings={
                **{name: values[name] for name in ("heads", *_COMBINED) if name in values},
                "members": [_origin(members[place]) for place in kept],
            },
        )  # fmt: skip
        result = Checkpoint(
            config=config, task=first.task, modality=first.modality, model=model, recipe=recipe,
            metrics={}, probes=run.probes(recipe.training.seed), rows=first.rows,
        )  # fmt: skip
        untuned = average.metrics(result, average.outputs(result))
        result = dataclasses.replace(result, task=first.task.tuned(run, model, untuned)[0])
    measured = list(map(average.metrics, members, outputs))
    return result, weights, [*measured, average.metrics(result, average.outputs(result))]


def _weights(combined: Combination | Mapping[str, Combination]) -> list[float]:
    """The weight of each member, of several heads the mean."""
    heads = combined.values() if isinstance(combined, Mapping) else [combined]
    return np.mean([one.weights for one in heads], axis=0).tolist()


def _of(
    combined: Combination | Mapping[str, Combination], kept: Sequence[int]
) -> Combination | dict[str, Combination]:
    """What becomes of the outputs of the members that are kept, by their places."""
    if isinstance(combined, Mapping):
        return {name: _of(one, kept) for name, one in combined.items()}
    weights, temperatures = (
        tuple(values[place] for place in kept) if values else ()
        for values in (combined.weights, combined.temperatures)
    )
    return dataclasses.replace(combined, weights=weights, temperatures=temperatures)


def _soup(
    members: Sequence[Checkpoint], by: str, run: RunData
) -> tuple[Checkpoint, list[float], list[dict[str, Any]]]:
    """The same for a model of averaged weights."""
    validate, task = run.validator(), members[0].task
    metric = task.defined(task.selection, run.validation)
    measured = [validate(one.model) for one in members]
    with unset_weights():
        model = build(members[0].config, task)

    def measure(weights):
        set_weights(model, weights)
        return metric.score(validate(model))

    mean, kept = greedy_soup(
        [get_weights(one.model) for one in members], list(map(metric.score, measured)), measure
    )
    set_weights(model, mean)
    best, found = members[kept[0]], validate(model)
    result = dataclasses.replace(
        best, model=model, task=best.task.tuned(run, model, found)[0],
        probes=run.probes(best.recipe.training.seed),
    )
    weights = [1 / len(kept) if place in kept else 0.0 for place in range(len(members))]
    return result, weights, [*measured, found | run.written_metrics(result)]


def _run_data(first: Checkpoint, data: Source | None) -> RunData:
    """The validation data: the given one, or that of the first member."""
    if data is not None:
        examples = first.task.examples_of(data, first.columns, name="validation")
        return first.task.run_data(examples, examples, first.modality)
    rows = dict(first.rows)
    recipe = resolved(first.recipe, in_memory=rows)
    return run_data_of(first, recipe, **rows)


def _places(
    first: Checkpoint, data: Source | None, run: RunData
) -> tuple[dict[str, Any], dict[str, Rows]]:
    """What a recipe says of the validation data, and the rows that are in memory."""
    if data is None:
        return {}, dict(first.rows)
    rows = {name: part for name, part in first.rows.items() if name != "validation"}
    if not is_path(data):
        rows["validation"] = run.validation
    return data_options(validation=data), rows


def _origin(member: Checkpoint) -> dict[str, Any]:
    """What a recipe says of a member."""
    model = member.recipe.model
    return {
        "name": model.name, "settings": dict(model.settings), "published": dict(model.published),
        "seed": member.recipe.training.seed, "weights_sha256": weights_digest(member.model.weights),
    }  # fmt: skip


def _name(member: Any, place: int) -> str:
    return str(member) if isinstance(member, str | Path) else f"member {place}"


def _plain(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics without the tables by class and the reasons."""
    return {name: value for name, value in metrics.items() if not isinstance(value, dict)}
