"""What a run keeps to be resumed from: where it stands, and the weights of several epochs."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_transformer.zoo.tabular import number, words


@dataclasses.dataclass
class Progress:
    """The progress of a run, saved with each state."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best_score: float = -math.inf
    best_metrics: dict[str, Any] = dataclasses.field(default_factory=dict)
    epochs_since_best: int = 0
    loss_sum: float = 0.0
    loss_targets: int = 0
    data: str = ""

    def add(self, loss: float, targets: int) -> None:
        """Adds a step with the mean loss of so many targets."""
        self.loss_sum += loss * targets
        self.loss_targets += targets
        self.batch += 1
        self.step += 1

    @property
    def loss(self) -> float:
        """Mean over the epoch's targets so far."""
        return self.loss_sum / self.loss_targets

    def kept_start(self, metric: str) -> str | None:
        """Returns a sentence if the run is over and no epoch was better than its start."""
        if not 0 < self.epoch == self.epochs_since_best or not self.best_metrics:
            return None
        return (
            f"No epoch was better than the start, whose weights are kept: {words(metric)} "
            f"{number(self.best_metrics[metric])}."
        )


def in_one(several: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Merges the weights of several epochs into one mapping, with the epoch's index as prefix."""
    return {
        f"{place}/{path}": value
        for place, weights in enumerate(several)
        for path, value in weights.items()
    }


def from_one(values: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Reverses `in_one`."""
    several: dict[int, dict[str, np.ndarray]] = {}
    for name, value in values.items():
        place, _, path = name.partition("/")
        several.setdefault(int(place), {})[path] = value
    return [several[place] for place in sorted(several)]
