"""Quantization-aware training: fine-tuning of a float model with simulated rounding."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.compress.following import Following, Guidance
from keras_transformer.edge.compress.prune import keep_pruned
from keras_transformer.edge.precision import (
    TRAINED_PRECISIONS,
    Precision,
    get_precision,
    kept_patterns,
)
from keras_transformer.edge.quantize.learned_rounding import learn_rounding
from keras_transformer.edge.quantize.ranges import (
    calibrate,
    check_ranges,
    learned_points,
)
from keras_transformer.edge.quantize.rounding import round_biases, validated_as_stored
from keras_transformer.edge.quantize.smoothing import smoothed
from keras_transformer.edge.quantize.trained_ranges import train_ranges
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.quantization import KernelLayer, Projection
from keras_transformer.speech import FrameConvolution
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import (
    all_layers,
    build,
    own_weights,
    set_weights,
    shared_weights,
)
from keras_transformer.zoo.models.running.predict import model_inputs
from keras_transformer.zoo.models.running.unset import unset_weights
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training.fine_tune import DEFAULTS, Retraining, changed_recipe
from keras_transformer.zoo.training.multi_task import learner_of
from keras_transformer.zoo.training.random_state import random_state_kept
from keras_transformer.zoo.training.run_folder import one_run, preparing


def quantized_model(
    checkpoint: Checkpoint, batches: Batches | None, precision: str = "int8",
    keep: Sequence[str] = (), *, percentile: float = 0.0, range_method: str = "least-error",
    smooth: str = "none", rounding: str = "nearest", note: Callable[[str], None] | None = None,
) -> keras.Model:  # fmt: skip
    """Builds the quantized form of a float model.

    Args:
        checkpoint: the float model.
        batches: batches on which ranges are calibrated, for a precision that has ranges, sizes for
            smoothing, and inputs for rounding.
        precision: name of the precision, see `precision`.
        keep: layers to keep in float or in int8, see `kept_patterns`.
        percentile, range_method: percentile or method of the ranges, see `ranges.calibrate`.
        smooth: smoothing, see `smoothing.smoothed`; `none` for none.
        rounding: rounding of the kernels, `nearest` or `learned`, see
            `learned_rounding.learn_rounding`.
        note: told what was smoothed and learned.

    Raises:
        InputError: if the precision or a kept layer does not fit the model.
    """
    spec = get_precision(precision)
    _check_widths(checkpoint, spec)
    patterns = kept_patterns(spec, keep)
    with unset_weights():
        model = build(checkpoint.config, checkpoint.task, bits=spec.bits, keep=patterns)
    weights = shared_weights(checkpoint.model)
    if smooth != "none":
        found = smoothed(checkpoint.model, batches, spec, smooth)
        weights |= found.weights
        if note is not None:
            note(str(found))
    set_weights(model, weights, ranges_missing=True)
    if spec.is_static:
        calibrate(model, batches, percentile=percentile, method=range_method)
    if rounding == "learned":
        learn_rounding(model, batches, note)
    return model


def _check_widths(checkpoint: Checkpoint, spec: Precision) -> None:
    """Raises InputError if the inputs of a kernel are not a multiple of the block."""
    block, layers = spec.kernel_block, all_layers(checkpoint.model)
    # Those of frames have 8 bits then.
    others = {layer.projection for layer in layers if isinstance(layer, FrameConvolution)}
    for layer in layers if block else ():
        if (
            isinstance(layer, Projection) and layer not in others
            and layer.kernel.shape[0] % block
        ):  # fmt: skip
            raise InputError(
                f"Expected the inputs of every kernel to be a multiple of {block} for {spec.name}, "
                f"got {layer.kernel.shape[0]} of {layer.path}."
            )


def qat_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe of fine-tuning with simulated rounding: few epochs, a small learning rate.

    Regularization, token dropout included, stays as for the float model.
    """
    defaults = {
        **DEFAULTS,
        "epochs": max(1, round(recipe.training.epochs / 5)),
        "learning_rate": recipe.optimizer.learning_rate / 20,
        "freeze_ranges": 0.2,
    }
    return changed_recipe(recipe, changes, defaults)


@needs_backend("quantize")
@one_run
@preparing
@random_state_kept()
def quantize(
    checkpoint: Checkpoint | str | Path,
    precision: str = "int8",
    *,
    out: str | Path | None = None,
    keep: Sequence[str] = (),
    share: float = 1.0,
    temperature: float = 2.0,
    train: Source | None = None,
    validation: Source | float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
    **changes: Any,
) -> Checkpoint:
    """Fine-tunes a float checkpoint with simulated quantization (QAT).

    The weights with the best validation metric are kept: those of an epoch, or those after
    calibration alone.

    Args:
        checkpoint: the float model, or its folder.
        precision: precision of the file to convert to.
        out: the new checkpoint folder; None keeps the checkpoint in memory.
        keep: layers to keep in float, such as `encoder/block_0/*=float32`, see `kept_patterns`.
        share, temperature: weights of the loss on the float model's outputs, see `Guidance`; with
            a share of 0 the float model is not run, with one of 1 the labels do not count, and
            there is no dropout.
        train, validation: data to use in place of the checkpoint's, as for `train.train`. Rows in
            memory are kept only as long as the process that trained on them.
        resume, overwrite, report, scalars: options of the run, see `train.train`.
        **changes: changes to `qat_recipe`, such as `epochs`.

    Raises:
        InputError: if the model is quantized already, the precision rounds nothing or does not fit
            the model, a value is out of range, or the data does not fit.
    """
    guidance = Guidance(share=share, temperature=temperature)
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
    if share:
        changes |= {"share": float(share), "temperature": float(temperature)}
    recipe = qat_recipe(checkpoint.recipe, changes)
    ranges, percentile = recipe.quantize.ranges, recipe.quantize.percentile
    method = recipe.quantize.range_method
    if not spec.is_static and (ranges == "learned" or percentile or method != "least-error"):
        raise InputError(
            f"Expected no learned ranges, no percentile and no method for {precision}, which has "
            f"no ranges, got ranges={ranges}, percentile={percentile:g}, range_method={method}."
        )
    check_ranges(method, percentile, spec.activation_bits)
    run = Retraining(
        checkpoint=checkpoint, recipe=recipe, out=out, train=train, validation=validation,
        resume=resume, overwrite=overwrite, report=report, scalars=scalars,
    )  # fmt: skip
    model = quantized_model(
        _without_dropout(checkpoint) if share == 1 else checkpoint, run.batches, precision, keep,
        percentile=percentile, range_method=method, smooth=recipe.quantize.smooth,
        note=run.report.note,
    )  # fmt: skip
    own_weights(model)
    learner = model
    if share:
        learner = Following(model, checkpoint.model, checkpoint.task, guidance)
    elif checkpoint.head_names:
        # Their loss is one of all outputs.
        learner = learner_of(model, checkpoint.config, run.data)
    if spec.is_static:
        learner = train_ranges(model, run.recipe, run.total_steps, learner)
    kept = keep_pruned(model, run.recipe)
    fit = run.fit(model, learner)
    fit.after_step = kept
    if spec.is_static:
        # The best epoch is that of the model that is kept.
        probes = model_inputs(model, run.data.probes(run.recipe.training.seed))
        fit.validate = validated_as_stored(fit.validate, probes)
    fit.consider_start()
    metrics = {"float": checkpoint.metrics.get("validation")}
    settle = _settle if spec.is_static else None
    return run.finish(fit, "quantize", spec.bits, settle, keep=patterns, **metrics)


def _settle(model: keras.Model, inputs: Mapping[str, np.ndarray]) -> None:
    """Ends the training of a model's ranges, and rounds its biases, see `round_biases`."""
    for point in learned_points(model):
        point.tracker = None
    round_biases(model, inputs)


def _without_dropout(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with a config from which a model without dropout is built.

    A model with dropout would learn to have the float model's outputs on the average over what is
    dropped, and so others without dropout. Labels need it.
    """
    config = checkpoint.config.replace(dropout=0.0, attention_dropout=0.0, stochastic_depth=0.0)
    return dataclasses.replace(checkpoint, config=config)


def grid_weights(model: keras.Model, without: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Returns the weights with every kernel and table rounded to the grid of the file.

    Args:
        model: the model.
        without: paths of weights that are left out.
    """
    return {
        path: ops.convert_to_numpy(weight())
        for path, weight in weights_on_grid(model).items() if path not in without
    }  # fmt: skip


def weights_on_grid(model: keras.Model) -> dict[str, Callable[[], Any]]:
    """Returns functions by path that compute a weight, rounded if it is a kernel or a table.

    A table is used for look-ups and as a kernel, and the converter rounds it for each use: on its
    grid both results are equal, and the file stores it once.
    """
    weights = {weight.path: partial(ops.convert_to_tensor, weight) for weight in model.weights}
    for layer in all_layers(model):
        if isinstance(layer, KernelLayer) and layer.kernel_bits is not None:
            weights[layer.kernel.path] = partial(_rounded_kernel, layer)
        elif isinstance(layer, TokenEmbedding):
            weights[layer.embeddings.path] = partial(_rounded_table, layer)
    return weights


def _rounded_kernel(layer: KernelLayer) -> Any:
    return layer.rounded_kernel(layer.kernel.value)


def _rounded_table(layer: TokenEmbedding) -> Any:
    # The cast makes a tensor of the variable, since a tracker takes only tensors.
    return layer.point(ops.cast(layer.table(), "float32"), training=False)
