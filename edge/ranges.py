"""Ranges of what is rounded: calibrated on batches, then tracked by tfmot while training."""

from pathlib import Path

import keras
from keras import ops

from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import all_layers
from keras_transformer.zoo.run_data import read_inputs
from keras_transformer.zoo.trained import Trained

CALIBRATION_BATCHES = 32
# Of rows in random order, one in N + 1 goes beyond the smallest or the largest value of the N
# before it: after so many a tensor clips in 3 % of rows at either end.
CALIBRATION_ROWS = 32
# tfmot's default of 0.999 follows too slowly for the few steps that quantization-aware
# training takes.
RANGE_DECAY = 0.99


def learned_points(model: keras.Model) -> list[QuantPoint]:
    """Returns the points that own a range."""
    return [p for p in all_layers(model) if isinstance(p, QuantPoint) and p.is_learned]


def calibrate(model: keras.Model, batches: Batches) -> None:
    """Sets every point's range to the smallest and largest value of some batches.

    The points pass values through unrounded meanwhile. Minimum and maximum rather than a moving
    average, which clips logits.
    """
    seen: dict[QuantPoint, tuple[float, float]] = {}

    def observe(point, inputs, training):
        low, high = float(ops.min(inputs)), float(ops.max(inputs))
        before = seen.get(point, (low, high))
        seen[point] = min(low, before[0]), max(high, before[1])
        return inputs

    points = learned_points(model)
    for point in points:
        point.tracker = observe
    try:
        for batch, _ in zip(batches.epoch(0), range(CALIBRATION_BATCHES), strict=False):
            model(batch.inputs, training=False)
    finally:
        for point in points:
            point.tracker = None
    for point in points:
        point.set_range(*seen[point])


def calibration_batches(trained: Trained, path: str | Path) -> Batches:
    """Reads a file in the columns of the model's recipe, to calibrate on; labels may be missing.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file cannot be read, lacks a column, has a label that the model lacks, or
            holds fewer than `CALIBRATION_ROWS` rows.
    """
    inputs = read_inputs(trained, path, **trained.columns)
    rows = len(inputs["ids"])
    if rows < CALIBRATION_ROWS:
        raise InputError(
            f"{path}: expected at least {CALIBRATION_ROWS} rows to calibrate on, got {rows}; give "
            "the training data or a part of it."
        )
    recipe = trained.recipe
    return Batches(inputs, batch_tokens=recipe.batch_tokens, seed=recipe.seed)


def track_ranges(model: keras.Model) -> None:
    """Lets tfmot's moving average move the ranges in every training step from now on."""
    # Importing tfmot takes seconds and changes what `tensorflow` offers as Keras.
    from tensorflow_model_optimization.python.core.quantization.keras.quant_ops import (
        MovingAvgQuantize,
    )

    def track(point, inputs, training):
        return MovingAvgQuantize(
            inputs, point.range_min.value, point.range_max.value, ema_decay=RANGE_DECAY,
            is_training=bool(training), num_bits=point.bits, symmetric=point.symmetric,
        )  # fmt: skip

    for point in learned_points(model):
        point.tracker = track
