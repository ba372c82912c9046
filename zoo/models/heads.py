"""Heads: the output layers of models."""

import dataclasses
from typing import Protocol, Self

import keras

from keras_transformer.zoo.errors import InputError

# Layer of the logits that are not tied to the table of tokens.
LOGITS_HEAD = "logits_head"
# Kind -> the architectures that support it.
HEADS = {"pooled": ("encoder",), "tied": ("decoder", "encoder-decoder")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """The outputs on top of a stack.

    Attributes:
        kind: `pooled`, a projection of the pooled vector of the text, or `tied`, logits of the next
            token from the tied embedding table.
        units: width of the output; None where it is the vocabulary's size.
        pair: whether the model reads two texts, distinguished by `segment_ids`.
        mean, deviation: mean and standard deviation of the targets, which scale the standardized
            outputs of the projection.
    """

    kind: str = "pooled"
    units: int | None = None
    pair: bool = False
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self):
        if self.kind not in HEADS:
            raise InputError(f"Expected kind to be one of {', '.join(HEADS)}, got {self.kind!r}.")
        if (self.kind == "pooled") != (self.units is not None):
            raise InputError(
                f"Expected units of a pooled head alone, got kind={self.kind!r}, "
                f"units={self.units}."
            )

    @property
    def is_standard(self) -> bool:
        """Whether the outputs are what is computed, as they are."""
        return (self.mean, self.deviation) == (0.0, 1.0)

    def standard(self) -> Self:
        """Returns the head of standardized outputs."""
        return dataclasses.replace(self, mean=0.0, deviation=1.0)

    def check(self, architecture: str) -> None:
        """Raises InputError if the architecture does not support this head."""
        if architecture not in HEADS[self.kind]:
            raise InputError(
                f"Expected a {self.kind} head on {' or '.join(HEADS[self.kind])}, "
                f"got architecture={architecture!r}."
            )


class HeadOwner(Protocol):
    """The part of a task's interface that models use."""

    pair: bool

    def head(self) -> Head:
        """Returns the head of the task's model."""


def head_of(given: Head | HeadOwner | None) -> Head | None:
    """Returns the given head, or the head of the given task."""
    return given if given is None or isinstance(given, Head) else given.head()


@keras.saving.register_keras_serializable(package="keras_transformer")
class InUnits(keras.layers.Layer):
    """`y = x deviation + mean`, in float32 whatever the layers before it compute in.

    It has no weights: a model of rounded or half-precision layers stores standardized numbers, and
    only its output is large.

    Args:
        mean, deviation: of the targets.
    """

    def __init__(self, mean=0.0, deviation=1.0, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mean = mean
        self.deviation = deviation

    def call(self, inputs):
        return inputs * self.deviation + self.mean

    def compute_output_shape(self, input_shape):
        return input_shape
