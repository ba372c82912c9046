"""What a model is trained to do: its outputs, its loss and the metric that decides."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import keras
from keras import ops

from keras_transformer.zoo.errors import InputError

# Task name -> the validation metric that early stopping follows; higher is better.
DECIDING_METRIC = {"classification": "accuracy", "regression": "pearson"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A task over one text or a pair.

    Attributes:
        name: `classification` or `regression`.
        labels: names of the classes in index order; empty for regression.
        pair: whether an example is two texts.
    """

    name: str
    labels: tuple[str, ...] = ()
    pair: bool = False

    def __post_init__(self):
        if self.name not in DECIDING_METRIC:
            raise InputError(
                f"Expected task to be one of {', '.join(DECIDING_METRIC)}, got task={self.name!r}."
            )
        if self.name == "classification" and len(self.labels) < 2:
            raise InputError(f"Expected at least two labels, got {list(self.labels)}.")

    @property
    def num_outputs(self) -> int:
        """Width of the model's output."""
        return len(self.labels) if self.name == "classification" else 1

    def loss(self, label_smoothing: float = 0.0):
        """Returns the loss of targets (B,) and outputs (B, num_outputs).

        Cross entropy with label smoothing (Szegedy et al. 2016, section 7), or mean squared error.
        """
        if self.name == "regression":
            return keras.losses.MeanSquaredError()

        def cross_entropy(targets, logits):
            targets = ops.one_hot(ops.reshape(targets, (-1,)), self.num_outputs)
            targets = targets * (1.0 - label_smoothing) + label_smoothing / self.num_outputs
            return ops.mean(-ops.sum(targets * ops.log_softmax(logits), axis=-1))

        return cross_entropy

    def to_json(self) -> dict[str, Any]:
        """Returns the task as an object that JSON can hold; the labels have a file of their own."""
        return {"name": self.name, "pair": self.pair}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        """Makes the task from what `to_json` returned and the labels."""
        if not isinstance(value, Mapping) or set(value) != {"name", "pair"}:
            raise InputError(f"Expected a task with name and pair, got {value!r}.")
        return cls(name=value["name"], pair=bool(value["pair"]), labels=labels)
