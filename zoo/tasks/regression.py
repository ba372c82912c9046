"""Regression of texts or pairs of texts: one number each."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_transformer.zoo.data.labels import numbers
from keras_transformer.zoo.data.tables import Table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.metrics import regression_metrics
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.tasks.labelled import LabelledTask


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regression(LabelledTask):
    """Regression of texts, or of pairs of texts.

    Attributes:
        pair: whether an example is a pair of texts.
    """

    name: ClassVar[str] = "regression"
    output: ClassVar[str] = "number"
    metric: ClassVar[Metric] = Metric(name="pearson", points=100.0)
    selection: ClassVar[Metric] = metric

    def head(self) -> Head:
        return Head(units=1, pair=self.pair)

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean squared error of numbers (B,) and outputs (B, 1)."""
        if label_smoothing:
            raise InputError(
                "Expected label_smoothing to be 0 for regression, "
                f"got label_smoothing={label_smoothing}."
            )
        return keras.losses.MeanSquaredError()

    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        return numbers(table, label), ()

    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        return regression_metrics(targets, scores)

    def output_difference(self, targets, expected, outputs, temperature: float):
        return ops.mean(ops.square(outputs - expected))
