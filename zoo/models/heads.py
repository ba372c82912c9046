"""Heads: the output layers of models."""

import dataclasses
from typing import TYPE_CHECKING, Protocol, Self

from keras_transformer.zoo.errors import InputError

if TYPE_CHECKING:
    import keras

# Layer of the logits that are not tied to the table of tokens.
LOGITS_HEAD = "logits_head"
# Weights of a head: of its layer, and the bias of logits that are tied to the table.
HEAD, TIED_BIAS = "head", "token_embedding/logits_bias"
# Kind -> the architectures that support it.
HEADS = {
    "pooled": ("encoder",), "tokens": ("encoder",), "vector": ("encoder",),
    "masked": ("encoder",), "tied": ("decoder", "encoder-decoder"),
}  # fmt: skip
# Those of a projection to `units`.
_PROJECTED = ("pooled", "tokens")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """The outputs on top of a stack.

    Attributes:
        kind: `pooled`, a projection of the pooled vector of the text; `tokens`, one of the vector
            at each position; `vector`, the pooled vector itself; `masked`, logits of the token at
            each position from a transform and the tied embedding table (Devlin et al. 2018, their
            `get_masked_lm_output`); or `tied`, logits of the next token from that table.
        units: width of a projection; None where the output has none.
        pair: whether the model reads two texts, distinguished by `segment_ids`.
        mean, deviation: mean and standard deviation of the targets, which scale the standardized
            outputs of the projection.
        normalize: whether the vector is divided by its length.
    """

    kind: str = "pooled"
    units: int | None = None
    pair: bool = False
    mean: float = 0.0
    deviation: float = 1.0
    normalize: bool = False

    def __post_init__(self):
        if self.kind not in HEADS:
            raise InputError(f"Expected kind to be one of {', '.join(HEADS)}, got {self.kind!r}.")
        if (self.kind in _PROJECTED) != (self.units is not None):
            raise InputError(
                f"Expected units of a {' or '.join(_PROJECTED)} head alone, got "
                f"kind={self.kind!r}, units={self.units}."
            )
        if self.normalize and self.kind != "vector":
            raise InputError(
                f"Expected normalize of a vector head alone, got kind={self.kind!r}, "
                f"normalize={self.normalize}."
            )

    @property
    def is_standard(self) -> bool:
        """Whether the outputs are what is computed, as they are."""
        return (self.mean, self.deviation, self.normalize) == (0.0, 1.0, False)

    def standard(self) -> Self:
        """Returns the head of standardized outputs, or of vectors as they are."""
        return dataclasses.replace(self, mean=0.0, deviation=1.0, normalize=False)

    def last_layer(self) -> "keras.layers.Layer | None":
        """Returns the layer that follows all others, if the outputs are not `is_standard`."""
        from keras_transformer.zoo.models.last_layers import InUnits, UnitLength

        if self.normalize:
            return UnitLength(name="unit_length")
        return None if self.is_standard else InUnits(self.mean, self.deviation, name="in_units")

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
