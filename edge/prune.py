"""Pruning: a trained model becomes smaller or compresses better, and trains on."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.edge.importance import head_and_neuron_importance, least_costly_blocks
from keras_transformer.edge.magnitude import Pruner, sparsity_of
from keras_transformer.edge.retrain import DEFAULTS, Retraining, changed_recipe
from keras_transformer.edge.shrink import narrowed, shortened, smaller
from keras_transformer.zoo.catalog import multiply_adds, parameters
from keras_transformer.zoo.config import TransformerConfig
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import build, get_weights, set_weights
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.report import Report
from keras_transformer.zoo.trained import Trained


def prune_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe of pruning: half of the epochs that the model was trained for, at least two."""
    defaults = {
        **DEFAULTS,
        "epochs": max(2, round(recipe.epochs / 2)),
        "learning_rate": recipe.learning_rate / 2,
    }
    return changed_recipe(recipe, changes, defaults)


def prune(
    trained: Trained,
    out: str | Path,
    *,
    sparsity: float | None = None,
    pattern: str = "element",
    heads: int | None = None,
    neurons: int | None = None,
    layers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
    **changes: Any,
) -> Trained:
    """Prunes a float checkpoint in one way while it trains on, and writes the new checkpoint.

    By magnitude, most weights become zero; the sparsity grows in the first half of the steps, and
    of the epochs after that the best is kept. By structure, the model gets fewer heads, neurons or
    layers, those that matter most on its training data; the new config says how many.

    Args:
        trained: the float model.
        out: the new checkpoint folder.
        sparsity: share of zeros in each kernel and table of tokens; 0.5 of 2:4.
        pattern: of zeros: `element`, `block` (4 by 4), or `2:4`: two of four consecutive inputs.
        heads: of each attention.
        neurons: of each feed-forward layer.
        layers: of each stack.
        resume, overwrite, report, scalars: see `train.train`.
        **changes: what differs from `prune_recipe`, such as `epochs`, or the paths
            `train` and `validation`.

    Raises:
        InputError: the model is quantized, the ways are none or several, a value does not fit the
            model, or the data does not fit.
    """
    if trained.is_quantized:
        raise InputError(
            "Expected a float checkpoint to prune, got a quantized one; prune first, "
            "and quantize what that gives."
        )
    shape = {"heads": heads, "neurons": neurons, "layers": layers}
    is_sparse = sparsity is not None or pattern != "element"
    is_smaller = any(number is not None for number in shape.values())
    if is_sparse == is_smaller:
        raise InputError(
            "Expected one way to prune, either sparsity (or a pattern), or any of heads, neurons "
            f"and layers, got {'both' if is_sparse else 'none'}."
        )
    run = {
        "out": Path(out), "resume": resume, "overwrite": overwrite, "report": report,
        "scalars": scalars,
    }  # fmt: skip
    if is_sparse:
        return _prune_weights(trained, run, sparsity, pattern, changes)
    return _prune_structure(trained, run, shape, changes)


def effect(pruned: Trained) -> dict[str, float]:
    """Returns what was reached: sparsity, or the shares of parameters and multiply-adds kept."""
    if pruned.recipe.sparsity:
        return {"sparsity": sparsity_of(pruned.model)}
    return {f"{name}_kept": share for name, share in pruned.metrics.get("kept", {}).items()}


def _prune_weights(
    trained: Trained, options: Mapping[str, Any], sparsity: float | None, pattern: str,
    changes: Mapping[str, Any],
) -> Trained:  # fmt: skip
    if pattern == "2:4":
        sparsity = 0.5 if sparsity is None else sparsity
        if sparsity != 0.5:
            raise InputError(f"Expected sparsity to be 0.5 for 2:4, got sparsity={sparsity}.")
    if not sparsity:
        raise InputError(f"Expected sparsity to be above 0 and below 1, got sparsity={sparsity}.")
    changes = {**changes, "sparsity": sparsity, "pattern": pattern}
    run = Retraining(trained=trained, recipe=prune_recipe(trained.recipe, changes), **options)
    model = _with_weights(trained, trained.config, get_weights(trained.model)).model
    fit = run.fit(model)
    pruner = Pruner(model, sparsity, pattern, fit.total_steps)
    if fit.progress.step:
        pruner.take_masks()
    fit.after_step, fit.first_kept_step = pruner, pruner.end_step
    return run.finish(fit, "prune", unpruned=trained.metrics.get("validation"))


def _prune_structure(
    trained: Trained, options: Mapping[str, Any], shape: Mapping[str, int | None],
    changes: Mapping[str, Any],
) -> Trained:  # fmt: skip
    config = smaller(trained.config, **shape)
    if config == trained.config:
        raise InputError(
            f"Expected fewer heads, neurons or layers than the model's {config.num_heads}, "
            f"{config.intermediate_dim} and {config.num_layers}, got no fewer."
        )
    _check_dense(trained.recipe)
    changes = {**changes, "settings": _settings(trained, config)}
    run = Retraining(trained=trained, recipe=prune_recipe(trained.recipe, changes), **options)
    loss, model = trained.task_spec.loss(), trained
    if config.num_layers < trained.config.num_layers:
        kept = least_costly_blocks(model.model, loss, run.batches, config.num_layers)
        model = _with_weights(model, *shortened(model.config, get_weights(model.model), kept))
    if config != model.config:
        importance = head_and_neuron_importance(model.model, loss, run.batches)
        widths = {name: shape[name] for name in ("heads", "neurons")}
        smaller_one = narrowed(model.config, get_weights(model.model), importance, **widths)
        model = _with_weights(model, *smaller_one)
    return _go_on(run, trained, model)


def _go_on(run: Retraining, trained: Trained, smaller_model: Trained) -> Trained:
    """Trains the smaller form of a model, which may be the best as it is."""
    run.trained = smaller_model
    fit = run.fit(smaller_model.model)
    fit.consider_start()
    length = trained.max_length
    before, after = trained.config, smaller_model.config
    kept = {
        "parameters": parameters(after) / parameters(before),
        "multiply_adds": multiply_adds(after, length) / multiply_adds(before, length),
    }
    return run.finish(fit, "prune", unpruned=trained.metrics.get("validation"), kept=kept)


def _with_weights(
    trained: Trained, config: TransformerConfig, weights: Mapping[str, np.ndarray]
) -> Trained:
    """The same checkpoint with another shape and weights."""
    model = build(config, trained.task_spec)
    set_weights(model, weights)
    return dataclasses.replace(trained, config=config, model=model)


def _settings(trained: Trained, config: TransformerConfig) -> dict[str, Any]:
    """The recipe's settings of a model whose config changed."""
    before = trained.config.to_json()
    changed = {name: value for name, value in config.to_json().items() if value != before[name]}
    return {**trained.recipe.settings, **changed}


def _check_dense(recipe: Recipe) -> None:
    if recipe.sparsity:
        raise InputError(
            f"Expected a dense checkpoint, got one that was pruned to sparsity={recipe.sparsity}; "
            "change the model's shape first and make its weights sparse then."
        )
