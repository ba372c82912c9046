"""Quantization-aware training: a float model trains on with simulated int8."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.biases import round_biases
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.prune import keep_zeros
from keras_transformer.edge.ranges import calibrate, track_ranges
from keras_transformer.edge.retrain import DEFAULTS, Retraining, changed_recipe
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.quantization import Projection, round_kernel
from keras_transformer.zoo.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import all_layers, build, get_weights, set_weights
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.report import Report
from keras_transformer.zoo.trained import Trained


def quantized_model(trained: Trained, batches: Batches) -> keras.Model:
    """Builds the int8 form of a float model, with ranges calibrated on batches."""
    model = build(trained.config, trained.task_spec, **get_precision("int8").bits)
    set_weights(model, get_weights(trained.model), ranges_missing=True)
    calibrate(model, batches)
    return model


def qat_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe of training on with simulated int8: few epochs, a small learning rate.

    What keeps the float model from overfitting, dropout of tokens included, stays as it was.
    """
    defaults = {
        **DEFAULTS,
        "epochs": max(1, round(recipe.epochs / 5)),
        "learning_rate": recipe.learning_rate / 20,
    }
    return changed_recipe(recipe, changes, defaults)


def quantize(
    trained: Trained,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
    **changes: Any,
) -> Trained:
    """Trains a float checkpoint on with simulated int8, and writes the checkpoint folder.

    The weights that do best on the validation data are kept: those of an epoch, or those that
    calibration alone gave.

    Args:
        trained: the float model.
        out: the new checkpoint folder.
        resume, overwrite, report, scalars: see `train.train`.
        **changes: what differs from `qat_recipe`, such as `epochs`, or the paths
            `train` and `validation`.

    Raises:
        InputError: the model is quantized already, or the data does not fit.
    """
    if trained.is_quantized:
        raise InputError("Expected a float checkpoint to quantize, got a quantized one.")
    run = Retraining(
        trained=trained, recipe=qat_recipe(trained.recipe, changes), out=Path(out), resume=resume,
        overwrite=overwrite, report=report, scalars=scalars,
    )  # fmt: skip
    model = quantized_model(trained, run.batches)
    track_ranges(model)
    zeros = keep_zeros(model) if run.recipe.sparsity else None
    fit = run.fit(model)
    fit.after_step = zeros
    fit.consider_start()
    metrics = {"float": trained.metrics.get("validation")}
    return run.finish(fit, "quantize", get_precision("int8").bits, round_biases, **metrics)


def grid_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the weights with every kernel and table on the grid that the file stores.

    A table is looked up and multiplied by, and the converter rounds it for each use: on its grid
    both come out the same, and the file holds it once.
    """
    weights = get_weights(model)
    for layer in all_layers(model):
        if isinstance(layer, Projection) and layer.kernel_bits is not None:
            rounded = round_kernel(layer.kernel.value, layer.kernel_bits)
            weights[layer.kernel.path] = ops.convert_to_numpy(rounded)
        elif isinstance(layer, TokenEmbedding) and layer.activation_bits is not None:
            # A cast makes a tensor of the variable, which is all that a tracker takes.
            rounded = layer.point(ops.cast(layer.embeddings, "float32"), training=False)
            weights[layer.embeddings.path] = ops.convert_to_numpy(rounded)
    return weights
