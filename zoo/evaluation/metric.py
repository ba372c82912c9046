"""A task's deciding metric, and the points in which its differences are reported."""

import dataclasses
import math
import sys
from collections.abc import Mapping
from typing import Any

from keras_transformer.zoo.errors import InputError, RunError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """A task's deciding metric.

    Attributes:
        name: key of the metric in the results of an evaluation.
        points: points of a difference of 1: 100 for a fraction; negative where lower is better.
    """

    name: str
    points: float

    def drop(self, reference: float, value: float) -> float:
        """Returns by how many points a value is worse than a reference."""
        return (reference - value) * self.points

    def value(self, metrics: Mapping[str, Any]) -> float:
        """Returns the metric.

        Raises:
            RunError: it is not defined.
        """
        value = metrics[self.name]
        if value is None:
            raise RunError(
                f"Expected {self.name} to be defined, got none: "
                f"{metrics.get('undefined', {}).get(self.name, 'no reason is known')}."
            )
        return float(value)

    def score(self, metrics: Mapping[str, Any]) -> float:
        """Returns the metric, negated where lower is better; the lowest number for None."""
        value = metrics[self.name]
        if value is None:
            return -sys.float_info.max
        return value if self.points > 0 else -value


def check_max_drop(max_drop: float) -> None:
    """Raises InputError if the budget is not a nonnegative number of points."""
    if not 0 <= max_drop < math.inf:
        raise InputError(f"Expected max_drop to be 0 or more points, got max_drop={max_drop}.")
