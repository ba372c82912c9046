"""What a model is trained to do: its outputs, its loss and the metric that decides."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import keras
from keras import ops

from keras_transformer.zoo.errors import InputError

# Task name -> the validation metric that early stopping follows, and whether higher is better.
DECIDING_METRIC = {
    "classification": ("accuracy", True),
    "regression": ("pearson", True),
    "translation": ("loss", False),
    "language-modeling": ("loss", False),
}
GENERATING = ("translation", "language-modeling")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A task over one text or a pair, or one that generates text.

    Attributes:
        name: `classification`, `regression`, `translation` (any text to text) or
            `language-modeling`.
        labels: names of the classes in index order; of a translation into several targets their
            names; else empty.
        pair: whether an example is two texts that are read.
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
    def generates(self) -> bool:
        """Whether outputs are logits of the next token at each position."""
        return self.name in GENERATING

    @property
    def num_outputs(self) -> int:
        """Width of the output of a task over whole texts."""
        return len(self.labels) if self.name == "classification" else 1

    @property
    def deciding_metric(self) -> str:
        """Name of the validation metric that chooses the weights."""
        return DECIDING_METRIC[self.name][0]

    def score(self, metrics: Mapping[str, Any]) -> float:
        """Returns the deciding metric, negated where lower is better."""
        name, is_higher_better = DECIDING_METRIC[self.name]
        return metrics[name] if is_higher_better else -metrics[name]

    def loss(self, label_smoothing: float = 0.0):
        """Returns the loss of targets and outputs, a mean.

        Mean squared error, or cross entropy with label smoothing (Szegedy et al. 2016, section 7)
        of (B,) and (B, classes); for tasks that generate, of (B, T) and (B, T, V), over all
        positions whose target is not padding, id 0.
        """
        if self.name == "regression":
            if label_smoothing:
                raise InputError(
                    "Expected label_smoothing to be 0 for regression, "
                    f"got label_smoothing={label_smoothing}."
                )
            return keras.losses.MeanSquaredError()
        if self.generates:
            return lambda targets, logits: token_loss(targets, logits, label_smoothing)

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


def token_loss(targets, logits, label_smoothing=0.0):
    """Mean cross entropy in nats of (B, T) targets, 0 for padding, and (B, T, V) logits."""
    targets = ops.cast(targets, "int32")
    real = ops.cast(ops.not_equal(targets, 0), "float32")
    nats = ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
    if label_smoothing:
        # -log p of a target is the same sum over all tokens less its own logit, so the mean over
        # the vocabulary needs no second softmax and no (B, T, V) of targets.
        width = logits.shape[-1]
        flat = ops.reshape(targets, (-1,))
        places = ops.arange(ops.shape(flat)[0]) * width + flat
        own = ops.reshape(ops.take(ops.reshape(logits, (-1,)), places), ops.shape(targets))
        nats = nats + label_smoothing * (own - ops.mean(logits, axis=-1))
    return ops.sum(nats * real) / ops.maximum(ops.sum(real), 1.0)
