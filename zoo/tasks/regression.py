"""Regression of texts or pairs of texts: one number each."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.labels import numbers
from keras_transformer.zoo.data.rows import Examples
from keras_transformer.zoo.data.tables import Table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.metrics import regression_metrics, undefined_by_numbers
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.numerals import LARGEST_FLOAT32, is_float32
from keras_transformer.zoo.tasks.labelled import LabelledTask

# Steps of float32 at the mean that the deviation of targets has to be: a model's output is the sum
# of both.
FEWEST_STEPS = 16
# The smallest number that float32 holds with all its digits.
_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regression(LabelledTask):
    """Regression of texts, or of pairs of texts.

    The model computes standardized numbers, and its outputs are in the units of the targets.

    Attributes:
        pair: whether an example is a pair of texts.
        mean, deviation: mean and standard deviation of the training targets.
    """

    # Models that differ in these alone learn the same.
    mean: float = dataclasses.field(default=0.0, compare=False)
    deviation: float = dataclasses.field(default=1.0, compare=False)

    name: ClassVar[str] = "regression"
    output: ClassVar[str] = "number"
    metric: ClassVar[Metric] = Metric(name="pearson", points=100.0)
    # A correlation does not see predictions that drift away by a factor or a constant.
    selection: ClassVar[Metric] = Metric(name="mean_squared_error", points=-1.0)
    fallback: ClassVar[Metric] = selection

    def __post_init__(self):
        for name in ("mean", "deviation"):
            value = getattr(self, name)
            if not is_float32(value) or (name == "deviation" and value < _SMALLEST):
                wanted = "a finite number" + (" above 0" if name == "deviation" else "")
                raise InputError(
                    f"Expected {name} to be {wanted} that float32 holds, got {name}={value!r}."
                )

    def head(self) -> Head:
        return Head(units=1, pair=self.pair, mean=self.mean, deviation=self.deviation)

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean squared error, in deviations, of numbers (B,) and outputs (B, 1)."""
        if label_smoothing:
            raise InputError(
                "Expected label_smoothing to be 0 for regression, "
                f"got label_smoothing={label_smoothing}."
            )
        from keras_transformer.zoo.losses.losses import NumberLoss

        return NumberLoss(self.deviation)

    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        return numbers(table, label), ()

    def learned_from(self, examples: Examples) -> Self:
        """Returns the task with the mean and the deviation of the targets.

        Raises:
            InputError: there are no targets, or they differ by less than float32 can tell.
        """
        if examples.targets is None:
            raise InputError(f"{examples.path}: expected a label column to train on.")
        targets = examples.targets.astype("float64")
        mean, deviation = float(targets.mean()), float(targets.std())
        if np.ptp(targets) == 0:
            return dataclasses.replace(self, mean=float(targets[0]), deviation=1.0)
        if deviation < _SMALLEST or np.abs(targets - mean).max() > LARGEST_FLOAT32:
            raise InputError(
                f"{examples.path}: expected numbers whose differences float32 holds, got a "
                f"deviation of {deviation:.6g} around {mean:.6g}; give them in another unit."
            )
        if deviation < FEWEST_STEPS * np.spacing(np.float32(abs(mean))):
            raise InputError(
                f"{examples.path}: expected numbers whose differences float32 can tell, got a "
                f"deviation of {deviation:.6g} around {mean:.10g}; subtract a number from them, or "
                "give them in another unit."
            )
        return dataclasses.replace(self, mean=mean, deviation=deviation)

    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        return regression_metrics(targets, scores)

    def undefined(self, examples: Examples) -> dict[str, str]:
        return undefined_by_numbers(examples.targets)

    def output_difference(self, targets, expected, outputs, temperature: float):
        from keras import ops

        return ops.mean(ops.square((outputs - expected) / self.deviation))

    def to_json(self) -> dict[str, Any]:
        value = super().to_json()
        # As it was when targets were learned as they are.
        return value if self.head().is_standard else value | self._units()

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        units = {name: value[name] for name in ("mean", "deviation") if name in value}
        others = {name: one for name, one in value.items() if name not in units}
        return dataclasses.replace(super().from_json(others, labels), **units)

    def _units(self) -> dict[str, float]:
        return {"mean": self.mean, "deviation": self.deviation}
