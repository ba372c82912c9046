"""Quantization-aware training: a float model trains on with simulated int8."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.compress.prune import keep_pruned
from keras_transformer.edge.precision import (
    TRAINED_PRECISIONS,
    Precision,
    get_precision,
    kept_patterns,
)
from keras_transformer.edge.quantize.ranges import calibrate, train_ranges
from keras_transformer.edge.quantize.rounding import round_biases
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.quantization import Projection
from keras_transformer.zoo.checkpoint import Checkpoint, as_checkpoint
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers, build, get_weights, set_weights
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training.fine_tune import DEFAULTS, Retraining, changed_recipe
from keras_transformer.zoo.training.random_state import random_state_kept
from keras_transformer.zoo.training.run_folder import one_run


def quantized_model(
    checkpoint: Checkpoint, batches: Batches | None, precision: str = "int8",
    keep: Sequence[str] = (), *, percentile: float = 100.0,
) -> keras.Model:  # fmt: skip
    """Builds the rounded form of a float model.

    Args:
        checkpoint: the float model.
        batches: on which ranges are calibrated, of a precision that has any.
        precision: see `precision`.
        keep: see `kept_patterns`.
        percentile: see `ranges.calibrate`.

    Raises:
        InputError: the precision or what is kept does not fit the model.
    """
    spec = get_precision(precision)
    _check_widths(checkpoint, spec)
    patterns = kept_patterns(spec, keep)
    model = build(checkpoint.config, checkpoint.task, bits=spec.bits, keep=patterns)
    set_weights(model, get_weights(checkpoint.model), ranges_missing=True)
    if spec.is_static:
        calibrate(model, batches, percentile=percentile)
    return model


def _check_widths(checkpoint: Checkpoint, spec: Precision) -> None:
    """Raises InputError where a block of a kernel would not fit into it."""
    block = spec.kernel_block
    for layer in all_layers(checkpoint.model) if block else ():
        if isinstance(layer, Projection) and layer.kernel.shape[0] % block:
            raise InputError(
                f"Expected the inputs of every kernel to be a multiple of {block} for {spec.name}, "
                f"got {layer.kernel.shape[0]} of {layer.path}."
            )


def qat_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe of training on with simulated rounding: few epochs, a small learning rate.

    What keeps the float model from overfitting, dropout of tokens included, stays as it was.
    """
    defaults = {
        **DEFAULTS,
        "epochs": max(1, round(recipe.training.epochs / 5)),
        "learning_rate": recipe.optimizer.learning_rate / 20,
        "freeze_ranges": 0.2,
    }
    return changed_recipe(recipe, changes, defaults)


@one_run
@random_state_kept()
def quantize(
    checkpoint: Checkpoint | str | Path,
    precision: str = "int8",
    *,
    out: str | Path | None = None,
    keep: Sequence[str] = (),
    train: Source | None = None,
    validation: Source | float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
    **changes: Any,
) -> Checkpoint:
    """Trains a float checkpoint on with simulated rounding (QAT).

    The weights that do best on the validation data are kept: those of an epoch, or those that
    calibration alone gave.

    Args:
        checkpoint: the float model, or its folder.
        precision: of the file that it is for.
        out: the new checkpoint folder; None keeps all in memory.
        keep: what stays float, such as `encoder/block_0/*=float32`.
        train, validation: in place of the checkpoint's data, as `train.train` takes them. Rows that
            were in memory are there as long as the process that trained on them.
        resume, overwrite, report, scalars: see `train.train`.
        **changes: what differs from `qat_recipe`, such as `epochs`.

    Raises:
        InputError: the model is quantized already, the precision rounds nothing or does not fit
            the model, or the data does not fit.
    """
    checkpoint = as_checkpoint(checkpoint)
    if checkpoint.is_quantized:
        raise InputError("Expected a float checkpoint to quantize, got a quantized one.")
    spec = get_precision(precision)
    if not spec.rounds_kernels:
        raise InputError(
            f"Expected precision to be one of {', '.join(TRAINED_PRECISIONS)} to train for, "
            f"got {precision!r}."
        )
    patterns = kept_patterns(spec, keep)
    changes |= {"precision": precision, "keep": ",".join(patterns)}
    changes |= {"train": train, "validation": validation}
    recipe = qat_recipe(checkpoint.recipe, changes)
    ranges, percentile = recipe.quantize.ranges, recipe.quantize.percentile
    if not spec.is_static and (ranges == "learned" or percentile != 100):
        raise InputError(
            f"Expected no learned ranges and no percentile for {precision}, which has no ranges, "
            f"got ranges={ranges}, percentile={percentile:g}."
        )
    run = Retraining(
        checkpoint=checkpoint, recipe=recipe, out=out, train=train, validation=validation,
        resume=resume, overwrite=overwrite, report=report, scalars=scalars,
    )  # fmt: skip
    model = quantized_model(checkpoint, run.batches, precision, keep, percentile=percentile)
    if spec.is_static:
        train_ranges(model, run.recipe, run.total_steps)
    kept = keep_pruned(model, run.recipe)
    fit = run.fit(model)
    fit.after_step = kept
    fit.consider_start()
    metrics = {"float": checkpoint.metrics.get("validation")}
    settle = round_biases if spec.is_static else None
    return run.finish(fit, "quantize", spec.bits, settle, keep=patterns, **metrics)


def grid_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the weights with every kernel and table on the grid that the file stores.

    A table is looked up and multiplied by, and the converter rounds it for each use: on its grid
    both come out the same, and the file holds it once.
    """
    weights = get_weights(model)
    for layer in all_layers(model):
        if isinstance(layer, Projection) and layer.kernel_bits is not None:
            rounded = layer.rounded_kernel(layer.kernel.value)
            weights[layer.kernel.path] = ops.convert_to_numpy(rounded)
        elif isinstance(layer, TokenEmbedding):
            # A cast makes a tensor of the variable, which is all that a tracker takes.
            rounded = layer.point(ops.cast(layer.table(), "float32"), training=False)
            weights[layer.embeddings.path] = ops.convert_to_numpy(rounded)
    return weights
