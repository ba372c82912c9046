"""Simulation of a file in which some groups of layers are quantized and the others float."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_transformer.edge.compare.layer_groups import Group, groups_of
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.models.build import build, get_weights, set_weights


class Simulation:
    """A float model whose groups can be quantized together or one by one.

    Args:
        checkpoint: the float model.
        precision: the simulated precision.
        batches: batches on which the ranges are calibrated, see `quantized_model`.
        measure: function from a predictor to its metrics.
        metric: the metric that decides.
        **rounding: `percentile`, `range_method` and `smooth`, see `quantized_model`.

    Attributes:
        groups: groups of the model.
    """

    def __init__(
        self, checkpoint: Checkpoint, precision: str, batches: Any, measure: Callable,
        metric: Metric, **rounding: Any,
    ):  # fmt: skip
        self.checkpoint = checkpoint
        self.precision = precision
        self.batches = batches
        self.measure = measure
        self.metric = metric
        self.rounding = rounding
        model = quantized_model(checkpoint, batches, precision, **rounding)
        self.weights = get_weights(model)
        self.groups = groups_of(model)

    def float_value(self) -> float:
        """Returns the metric of the float model."""
        return self._value(self.checkpoint)

    def value(self, kept: Iterable[Group]) -> float:
        """Returns the metric with these groups in float and the others quantized.

        The ranges are those of a file that keeps nothing, calibrated once.
        """
        patterns = _patterns(kept)
        bits = get_precision(self.precision).bits
        model = build(self.checkpoint.config, self.checkpoint.task, bits=bits, keep=patterns)
        set_weights(model, self.weights)
        return self._quantized_value(model, patterns)

    def calibrated_value(self, kept: Iterable[Group]) -> float:
        """Returns the same with the ranges of the file that keeps these groups.

        A layer whose rounding spoils the values behind it spoils the ranges there, too.
        """
        patterns = _patterns(kept)
        model = quantized_model(
            self.checkpoint, self.batches, self.precision,
            [f"{pattern}=float32" for pattern in patterns], **self.rounding,
        )  # fmt: skip
        return self._quantized_value(model, patterns)

    def _quantized_value(self, model: keras.Model, keep: list[str]) -> float:
        bits = get_precision(self.precision).bits
        return self._value(dataclasses.replace(self.checkpoint, model=model, bits=bits, keep=keep))

    def _value(self, checkpoint: Checkpoint) -> float:
        return self.metric.value(self.measure(checkpoint))


def _patterns(groups: Iterable[Group]) -> list[str]:
    return [pattern for group in groups for pattern in group.patterns]
