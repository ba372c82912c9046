"""Quantization ranges, calibrated on batches."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.quantize.entropy import DRAWN, entropy_bounds
from keras_transformer.edge.quantize.least_error import Sample
from keras_transformer.edge.quantize.observing import rounded_once
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers
from keras_transformer.zoo.recipe import check_range_method
from keras_transformer.zoo.training.run_data import read_inputs

CALIBRATION_BATCHES = 32
# Of rows in random order, one in N + 1 exceeds the smallest or the largest value of the N before
# it: after this many, a tensor clips in 3 % of rows at either end.
CALIBRATION_ROWS = 32
SAMPLE = 2**14


def learned_points(model: keras.Model) -> list[QuantPoint]:
    """Returns the quantization points that own a range."""
    return [p for p in all_layers(model) if isinstance(p, QuantPoint) and p.is_learned]


def check_ranges(method: str, percentile: float, bits: int | None) -> None:
    """Raises InputError if ranges of these bits cannot be calibrated so, see `calibrate`."""
    check_range_method(method, percentile)
    if method == "entropy" and (bits or 0) > 8:
        raise InputError(
            "Expected a range_method other than entropy for activations of more than 8 bits, whose "
            f"grid is finer than its histogram, got {bits} bits."
        )


def calibrate(
    model: keras.Model, batches: Batches, *, percentile: float = 0.0,
    method: str = "least-error",
) -> None:  # fmt: skip
    """Sets every quantization point's range from the values of some batches.

    Values are not rounded meanwhile.

    Args:
        model: model with points that own ranges.
        batches: batches, of which the first `CALIBRATION_BATCHES` are read.
        percentile: central share of the values in percent that a range covers; values beyond are
            clipped (Wu et al. 2020, arXiv:2004.09602, section 3.3). It is computed from at most
            `SAMPLE` values per batch. 100 is from the smallest to the largest value, 0 for the
            range of the method.
        method: `least-error` for the range that rounds a sample of the values with the least
            squared error, `entropy` for the one whose rounded values have the distribution of the
            values as nearly as possible, see `entropy.entropy_bounds`, `min-max` for the smallest
            to the largest value.

    Raises:
        InputError: if the percentile is out of range, the method is unknown, does not suit the
            points' bits or is given besides a percentile, or a value is not finite.
    """
    points = learned_points(model)
    check_ranges(method, percentile, max((point.bits for point in points), default=None))
    percentile = 100.0 if method == "min-max" else percentile
    drawn = {"drawn": DRAWN} if method == "entropy" else {}
    seen: dict[QuantPoint, list[Any]] = {}
    broken: list[tuple[float, str]] = []
    rng = np.random.default_rng(0)

    def observe(point, inputs, training):
        values = ops.convert_to_numpy(inputs).reshape(-1)
        if not np.isfinite(values).all():
            # Keras would add its own words to an error that is raised in a call.
            broken.append((values[~np.isfinite(values)][0], point.path))
            return inputs
        if not percentile:
            values = Sample.of(values, rng, **drawn)
        elif percentile == 100:
            values = np.array([values.min(), values.max()])
        elif values.size > SAMPLE:
            values = values[rng.integers(0, values.size, SAMPLE)]
        seen.setdefault(point, []).append(values)
        return inputs

    for point in points:
        point.set_range(0.0, 0.0)  # masked scores lie below the range, see `raised_to`
        point.tracker = observe
    try:
        with rounded_once(model):
            for batch, _ in zip(batches.epoch(0), range(CALIBRATION_BATCHES), strict=False):
                model(batch.inputs, training=False)
                if broken:
                    raise InputError(
                        f"Expected finite values to calibrate on, got {broken[0][0]} in "
                        f"{broken[0][1]}; the weights or the rows are broken."
                    )
    finally:
        for point in points:
            point.tracker = None
    # No batch reaches the points of masked scores where nothing is masked.
    for point in seen:
        if not percentile:
            sample = Sample.joined(seen[point])
            bounds = entropy_bounds if method == "entropy" else Sample.bounds
            low, high = bounds(sample, point.bits, symmetric=point.symmetric)
        else:
            outside = (100 - percentile) / 2
            low, high = np.percentile(np.concatenate(seen[point]), (outside, 100 - outside))
        point.set_range(float(low), float(high))


def calibration_batches(checkpoint: Checkpoint, source: Source | Rows) -> Batches:
    """Reads calibration data; labels may be missing.

    Args:
        checkpoint: the model, whose recipe names the columns.
        source: a path or data in memory, see `Task.examples_of`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file cannot be read, lacks a column, has a label that the model lacks,
            has fewer than `CALIBRATION_ROWS` rows, or rows that are all the same for the model.
    """
    examples = checkpoint.task.examples_of(
        source, checkpoint.columns, name="calibration", labelled=False
    )
    inputs = read_inputs(checkpoint, examples)
    rows = len(next(iter(inputs.values())))
    if rows < CALIBRATION_ROWS:
        raise InputError(
            f"{examples.path}: expected at least {CALIBRATION_ROWS} rows to calibrate on, got "
            f"{rows}; give the training data or a part of it."
        )
    if all(np.array_equal(column[0], row) for column in inputs.values() for row in column[1:]):
        raise InputError(
            f"{examples.path}: expected rows that differ to calibrate on, got {rows} that are the "
            "same for the model; give the training data or a part of it."
        )
    recipe = checkpoint.recipe
    return Batches(
        inputs, specs=checkpoint.inputs, batch_tokens=recipe.data.batch_tokens,
        seed=recipe.training.seed,
    )  # fmt: skip
