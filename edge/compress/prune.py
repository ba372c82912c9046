"""Pruning of a trained model, by structure, rank, magnitude or clusters, with fine-tuning."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_transformer.edge.compress.clustering import (
    MOST_CLUSTERS,
    Clusterer,
    keep_clusters,
    most_values,
)
from keras_transformer.edge.compress.importance import (
    head_and_neuron_importance,
    least_costly_blocks,
)
from keras_transformer.edge.compress.low_rank import factorized, rank_of_energy
from keras_transformer.edge.compress.magnitude import Pruner, keep_zeros, sparsity_of
from keras_transformer.edge.compress.structure import narrowed, shortened, smaller
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.counts import multiply_adds, parameters
from keras_transformer.zoo.models.fused_config import check_single
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Prune, Recipe
from keras_transformer.zoo.training.fine_tune import DEFAULTS, Retraining, changed_recipe
from keras_transformer.zoo.training.random_state import random_state_kept
from keras_transformer.zoo.training.run_folder import one_run, preparing


def prune_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe of pruning: half of the epochs that the model was trained for, at least two."""
    defaults = {
        **DEFAULTS,
        "epochs": max(2, round(recipe.training.epochs / 2)),
        "learning_rate": recipe.optimizer.learning_rate / 2,
    }
    return changed_recipe(recipe, changes, defaults)


# The options of each way, and those that must not have been applied before it.
WAYS = {
    ("heads", "neurons", "layers"): ("rank", "sparsity", "clusters"),
    ("rank", "energy"): ("rank", "sparsity", "clusters"),
    ("sparsity", "pattern"): ("clusters",),
    ("clusters",): (),
}


@needs_backend("prune")
@one_run
@preparing
@random_state_kept()
def prune(
    checkpoint: Checkpoint | str | Path,
    out: str | Path | None = None,
    *,
    heads: int | None = None,
    neurons: int | None = None,
    layers: int | None = None,
    rank: int | None = None,
    energy: float | None = None,
    sparsity: float | None = None,
    pattern: str = "element",
    clusters: int | None = None,
    train: Source | None = None,
    validation: Source | float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
    **changes: Any,
) -> Checkpoint:
    """Prunes a float checkpoint in one way, and fine-tunes it.

    By structure, the model gets fewer heads, neurons or layers: those that matter most to the loss
    on its training data are kept. By rank, kernels become two factors each. Both change the config.
    By magnitude, most weights become zero; the sparsity grows in the first half of the steps, and
    the best of the later epochs is kept. By clusters, each kernel gets few distinct values.

    Args:
        checkpoint: the float model, or its folder.
        out: the new checkpoint folder; None keeps the checkpoint in memory.
        heads: number of heads to keep in each attention.
        neurons: number of neurons to keep in each feed-forward layer.
        layers: number of blocks to keep in each stack.
        rank: rank of the factors of each kernel that they make smaller.
        energy: share of energy to keep, in place of a rank, see `rank_of_energy`.
        sparsity: share of zeros in each kernel and token table; 0.5 for 2:4.
        pattern: pattern of zeros: `element`, `block` (4 by 4), or `2:4` (two of four consecutive
            inputs).
        clusters: largest number of distinct values of each kernel and token table.
        train, validation: data to use in place of the checkpoint's, as for `train.train`. Rows in
            memory are kept only as long as the process that trained on them.
        resume, overwrite, report, scalars: options of the run, see `train.train`.
        **changes: changes to `prune_recipe`, such as `epochs`.

    Raises:
        InputError: if the model is quantized, no way or several are given, or a value or the data
            does not fit the model.
    """
    given = {
        "heads": heads, "neurons": neurons, "layers": layers, "rank": rank, "energy": energy,
        "sparsity": sparsity, "pattern": None if pattern == "element" else pattern,
        "clusters": clusters,
    }  # fmt: skip
    way = _only_way(given)
    checkpoint = as_checkpoint(checkpoint)
    if not isinstance(checkpoint.config, SeveralConfig):
        check_single(checkpoint.config, "to prune")
    elif not {"sparsity", "clusters"} & set(way):
        got = ", ".join(f"{one}={given[one]!r}" for one in way if given[one] is not None)
        raise InputError(
            f"Expected sparsity or clusters to prune a model of {checkpoint.config.modality}, "
            f"whose layers keep their shapes, got {got}."
        )
    if checkpoint.is_quantized:
        raise InputError(
            "Expected a float checkpoint to prune, got a quantized one; prune first, "
            "and quantize what that gives."
        )
    _check_order(checkpoint, way)
    changes |= {"train": train, "validation": validation}
    options = {
        "train": train, "validation": validation, "out": out, "resume": resume,
        "overwrite": overwrite, "report": report, "scalars": scalars,
    }  # fmt: skip
    if "heads" in way:
        shape = {name: given[name] for name in way}
        return _prune_structure(checkpoint, options, shape, changes)
    if "rank" in way:
        return _prune_rank(checkpoint, options, rank, energy, changes)
    if "sparsity" in way:
        return _prune_weights(checkpoint, options, sparsity, pattern, changes)
    return _prune_values(checkpoint, options, clusters, changes)


def effect(pruned: Checkpoint) -> dict[str, float]:
    """Returns the kept shares of parameters and multiply-adds, the sparsity and distinct values."""
    reached = {f"{name}_kept": share for name, share in pruned.metrics.get("kept", {}).items()}
    done = pruned.recipe.prune or Prune()
    if done.sparsity:
        reached["sparsity"] = sparsity_of(pruned.model)
    if done.clusters:
        reached["values_of_a_kernel"] = float(most_values(pruned.model))
    return reached


def keep_pruned(model: keras.Model, recipe: Recipe) -> Callable[[int], None] | None:
    """Returns a function that keeps zeros zero, or equal weights equal, after each step."""
    done = recipe.prune or Prune()
    if done.clusters:
        return keep_clusters(model)
    return keep_zeros(model) if done.sparsity else None


def _only_way(given: Mapping[str, Any]) -> tuple[str, ...]:
    names = [name for name, value in given.items() if value is not None]
    ways = [way for way in WAYS if set(way) & set(names)]
    if len(ways) != 1:
        raise InputError(
            "Expected one way to prune (heads, neurons and layers; rank or energy; sparsity and "
            f"pattern; or clusters), got {' and '.join(names) or 'none'}."
        )
    return ways[0]


def _check_order(checkpoint: Checkpoint, way: tuple[str, ...]) -> None:
    """Raises InputError if an earlier run did what has to come after this way."""
    pruned = checkpoint.recipe.prune or Prune()
    done = {
        "rank": checkpoint.config.rank, "sparsity": pruned.sparsity, "clusters": pruned.clusters,
    }  # fmt: skip
    for name in WAYS[way]:
        if done[name]:
            raise InputError(
                "Expected heads, neurons and layers to be pruned first, then rank, then sparsity, "
                f"then clusters, got {way[0]} for a checkpoint of {name}={done[name]}."
            )


def _prune_structure(
    checkpoint: Checkpoint, options: Mapping[str, Any], shape: Mapping[str, int | None],
    changes: Mapping[str, Any],
) -> Checkpoint:  # fmt: skip
    config = smaller(checkpoint.config, **shape)
    if config == checkpoint.config:
        raise InputError(
            f"Expected fewer heads, neurons or layers than the model's {config.num_heads}, "
            f"{config.intermediate_dim} and {config.num_layers}, got no fewer."
        )
    changes = {**changes, "settings": _settings(checkpoint, config)}
    recipe = prune_recipe(checkpoint.recipe, changes)
    run = Retraining(checkpoint=checkpoint, recipe=recipe, **options)
    loss, model = checkpoint.task.loss(), checkpoint
    if config.num_layers < checkpoint.config.num_layers:
        kept = least_costly_blocks(model.model, loss, run.batches, config.num_layers)
        model = _with_weights(model, *shortened(model.config, get_weights(model.model), kept))
    if config != model.config:
        importance = head_and_neuron_importance(model.model, loss, run.batches)
        widths = {name: shape[name] for name in ("heads", "neurons")}
        narrow = narrowed(model.config, get_weights(model.model), importance, **widths)
        model = _with_weights(model, *narrow)
    return _go_on(run, checkpoint, model)


def _prune_rank(
    checkpoint: Checkpoint, options: Mapping[str, Any], rank: int | None, energy: float | None,
    changes: Mapping[str, Any],
) -> Checkpoint:  # fmt: skip
    if rank is not None and energy is not None:
        raise InputError(f"Expected rank or energy, got rank={rank}, energy={energy}.")
    weights = get_weights(checkpoint.model)
    if rank is None:
        rank = rank_of_energy(weights, energy)
    model = _with_weights(checkpoint, *factorized(checkpoint.config, weights, rank))
    changes = {**changes, "settings": _settings(checkpoint, model.config)}
    recipe = prune_recipe(checkpoint.recipe, changes)
    run = Retraining(checkpoint=checkpoint, recipe=recipe, **options)
    return _go_on(run, checkpoint, model)


def _prune_weights(
    checkpoint: Checkpoint, options: Mapping[str, Any], sparsity: float | None, pattern: str,
    changes: Mapping[str, Any],
) -> Checkpoint:  # fmt: skip
    if pattern == "2:4":
        sparsity = 0.5 if sparsity is None else sparsity
        if sparsity != 0.5:
            raise InputError(f"Expected sparsity to be 0.5 for 2:4, got sparsity={sparsity}.")
    if not sparsity:
        raise InputError(f"Expected sparsity to be above 0 and below 1, got sparsity={sparsity}.")
    changes = {**changes, "sparsity": sparsity, "pattern": pattern}
    recipe = prune_recipe(checkpoint.recipe, changes)
    run = Retraining(checkpoint=checkpoint, recipe=recipe, **options)
    model = _with_weights(checkpoint, checkpoint.config, get_weights(checkpoint.model)).model
    fit = run.fit(model)
    pruner = Pruner(model, sparsity, pattern, fit.total_steps)
    if fit.progress.step:
        pruner.take_masks()
    fit.after_step, fit.first_kept_step = pruner, pruner.end_step
    return run.finish(fit, "prune", unpruned=checkpoint.metrics.get("validation"))


def _prune_values(
    checkpoint: Checkpoint, options: Mapping[str, Any], clusters: int, changes: Mapping[str, Any]
) -> Checkpoint:
    if not 2 <= clusters <= MOST_CLUSTERS:
        raise InputError(
            f"Expected clusters to be from 2 to {MOST_CLUSTERS}, got clusters={clusters}."
        )
    changes = {**changes, "clusters": clusters}
    recipe = prune_recipe(checkpoint.recipe, changes)
    run = Retraining(checkpoint=checkpoint, recipe=recipe, **options)
    model = _with_weights(checkpoint, checkpoint.config, get_weights(checkpoint.model)).model
    clusterer = Clusterer(model, clusters)
    fit = run.fit(model, companions=clusterer.companions)
    fit.after_step = clusterer
    fit.consider_start()
    return run.finish(fit, "prune", unpruned=checkpoint.metrics.get("validation"))


def _go_on(run: Retraining, checkpoint: Checkpoint, model: Checkpoint) -> Checkpoint:
    """Fine-tunes the smaller model, which may be best as it is."""
    run.checkpoint = model
    fit = run.fit(model.model)
    fit.consider_start()
    before, after, length = checkpoint.model, model.model, checkpoint.max_length
    kept = {
        "parameters": parameters(after) / parameters(before),
        "multiply_adds": multiply_adds(after, length) / multiply_adds(before, length),
    }
    return run.finish(fit, "prune", unpruned=checkpoint.metrics.get("validation"), kept=kept)


def _with_weights(
    checkpoint: Checkpoint, config: TransformerConfig, weights: Mapping[str, np.ndarray]
) -> Checkpoint:
    """The same checkpoint with another shape and weights."""
    model = build(config, checkpoint.task)
    set_weights(model, weights)
    return dataclasses.replace(checkpoint, config=config, model=model)


def _settings(checkpoint: Checkpoint, config: TransformerConfig) -> dict[str, Any]:
    """The recipe's model settings for a changed config."""
    before = checkpoint.config.to_json()
    changed = {name: value for name, value in config.to_json().items() if value != before[name]}
    return {**checkpoint.recipe.model.settings, **changed}
