"""Heads: the output layers of models."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.layer_names import without_prefix

if TYPE_CHECKING:
    import keras

# Layer of the logits that are not tied to the table of tokens.
LOGITS_HEAD = "logits_head"
# Weights of a head: of its layer, and the bias of logits that are tied to the table.
HEAD, TIED_BIAS = "head", "token_embedding/logits_bias"
# Beginning of the paths of an encoder's pooler, whose vector a head reads.
POOLER = "pooler/"
# Kind -> the architectures that support it.
HEADS = {
    "pooled": ("encoder",), "tokens": ("encoder",), "vector": ("encoder",),
    "masked": ("encoder",), "tied": ("decoder", "encoder-decoder"),
}  # fmt: skip
# Those of a projection to `units`.
_PROJECTED = ("pooled", "tokens")
# Those of which a model may have several.
_SEVERAL = (*_PROJECTED, "vector")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """The outputs on top of a stack.

    Attributes:
        kind: `pooled`, a projection of the pooled vector of the text; `tokens`, one of the vector
            at each position; `vector`, the pooled vector itself, or a projection of it as a vector;
            `masked`, logits of the token at each position from a transform and the tied embedding
            table (Devlin et al. 2018, their `get_masked_lm_output`); or `tied`, logits of the next
            token from that table.
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
        lacks = self.units is None and self.kind in _PROJECTED
        if lacks or (self.units is not None and self.kind not in _SEVERAL):
            raise InputError(
                f"Expected units of a {' or '.join(_PROJECTED)} head, or of a vector one, got "
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

    def last_layer(self, prefix: str = "") -> "keras.layers.Layer | None":
        """Returns the layer that follows all others, if the outputs are not `is_standard`.

        Args:
            prefix: beginning of its name, where the model has several heads.
        """
        from keras_transformer.zoo.models.last_layers import InUnits, UnitLength

        if self.normalize:
            return UnitLength(name=f"{prefix}unit_length")
        if self.is_standard:
            return None
        return InUnits(self.mean, self.deviation, name=f"{prefix}in_units")

    def check(self, architecture: str) -> None:
        """Raises InputError if the architecture does not support this head."""
        if architecture not in HEADS[self.kind]:
            raise InputError(
                f"Expected a {self.kind} head on {' or '.join(HEADS[self.kind])}, "
                f"got architecture={architecture!r}."
            )


# Names of heads, which begin the names of layers and are those of a file's signatures.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
# Signatures that a file may have beside those of its heads.
_TAKEN = ("predict", "encode", "prefill", "decode", "ids", "segment_ids", "mask", "output")
# Ends as the names of signatures do where a file has several lengths.
_NUMBERED = re.compile(r".*_[0-9]+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heads:
    """Several heads on one encoder, which give their outputs by name.

    Attributes:
        heads: the heads by name.
    """

    heads: Mapping[str, Head]

    def __post_init__(self):
        if len(self.heads) < 2:
            raise InputError(f"Expected at least two heads, got {len(self.heads)}.")
        for name, head in self.heads.items():
            check_head_name(name)
            if head.kind not in _SEVERAL:
                raise InputError(
                    f"Expected heads of the kinds {', '.join(_SEVERAL)} where a model has several, "
                    f"got kind={head.kind!r} of {name}."
                )

    @property
    def pair(self) -> bool:
        """Whether the model reads two texts for any of the heads."""
        return any(one.pair for one in self.heads.values())

    @property
    def is_standard(self) -> bool:
        """Whether all outputs are what is computed, as they are."""
        return all(one.is_standard for one in self.heads.values())

    def standard(self) -> Self:
        """Returns the heads of standardized outputs, or of vectors as they are."""
        return dataclasses.replace(
            self, heads={name: one.standard() for name, one in self.heads.items()}
        )

    def check(self, architecture: str) -> None:
        """Raises InputError if the architecture does not support one of the heads."""
        for one in self.heads.values():
            one.check(architecture)


def check_head_name(name: Any) -> None:
    """Raises InputError if a head cannot have a name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
        raise InputError(
            "Expected the name of a task in a model of several to be lowercase letters, digits and "
            f"underscores that begin with a letter, and none of {', '.join(_TAKEN)}, got {name!r}."
        )
    if _NUMBERED.fullmatch(name):
        raise InputError(
            "Expected the name of a task in a model of several not to end in an underscore and a "
            f"number, as signatures of other lengths do in a file, got {name!r}."
        )


def weights_of_head(
    weights: Mapping[str, Any], name: str, paths: Iterable[str], *, is_tower: bool = False
) -> dict[str, Any]:  # fmt: skip
    """Returns the weights of a model with one of several heads.

    Args:
        weights: weights of the model of several, by path.
        name: name of the head.
        paths: paths of the weights of the model of one.
        is_tower: whether the head has an encoder of its own.
    """
    return {path: weights[path_in_whole(path, name, is_tower=is_tower)] for path in paths}


def path_in_whole(path: str, name: str, *, is_tower: bool) -> str:
    """Returns a path of the model of one head as it is in the model of several.

    Args:
        path: path of a layer or a weight.
        name: name of the head.
        is_tower: whether the head has an encoder of its own.
    """
    if is_tower:
        return f"{name}_{path}"
    alone = without_prefix(path)
    return f"{path.removesuffix(alone)}{name}_{alone}" if alone.startswith(HEAD) else path


def is_of_head(path: str) -> bool:
    """Whether a layer or a weight is of a head's projection, that of one of several too."""
    top = path.partition("/")[0]
    return top == HEAD or (top.endswith(f"_{HEAD}") and not top.endswith(LOGITS_HEAD))


class HeadOwner(Protocol):
    """The part of a task's interface that models use."""

    pair: bool

    def head(self) -> Head | Heads:
        """Returns the head of the task's model, or its heads."""


def head_of(given: Head | Heads | HeadOwner | None) -> Head | Heads | None:
    """Returns the given head or heads, or those of the given task."""
    return given if given is None or isinstance(given, Head | Heads) else given.head()
