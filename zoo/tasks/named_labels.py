"""Base of the tasks whose outputs are logits of named labels."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.labels import checked_labels
from keras_transformer.zoo.data.rows import Examples
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.suited.media import suited_to_pictures, suited_to_sounds
from keras_transformer.zoo.suited.texts import suited_to
from keras_transformer.zoo.tasks.labelled import LabelledTask

BALANCED = "balanced"
_LARGEST_FOCAL, _LARGEST_WEIGHT = 10, 1e9


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedLabelsTask(LabelledTask):
    """A task with an output for each of its labels.

    Subclasses add what `LabelledTask` asks for, and `balanced_weights`.

    Attributes:
        labels: names in index order; empty to learn them from the training data.
        class_weights: `balanced` to weigh labels in the loss, see `balanced_weights`; else `none`.
        focal: exponent of the focal loss; 0 for the cross entropy.
        weights: of the labels in the loss, learned from the training data; empty for 1.
    """

    labels: tuple[str, ...] = ()
    # Models that differ in these alone compute the same.
    class_weights: str = dataclasses.field(default="none", compare=False)
    focal: float = dataclasses.field(default=0.0, compare=False)
    weights: tuple[float, ...] = dataclasses.field(default=(), compare=False)

    own_options: ClassVar[tuple[str, ...]] = ("class_weights", "focal")
    stored: ClassVar[tuple[str, ...]] = ("class_weights", "focal", "weights")

    def __post_init__(self):
        object.__setattr__(self, "labels", checked_labels(self.labels))
        weights = self.weights if isinstance(self.weights, list | tuple) else (self.weights,)
        object.__setattr__(self, "weights", tuple(weights))
        if self.class_weights not in ("none", BALANCED):
            raise InputError(
                f"Expected class_weights to be none or {BALANCED}, got "
                f"class_weights={self.class_weights!r}."
            )
        if type(self.focal) not in (int, float) or not 0 <= self.focal <= _LARGEST_FOCAL:
            raise InputError(
                f"Expected focal to be a number from 0 to {_LARGEST_FOCAL}, got "
                f"focal={self.focal!r}."
            )
        fits = all(type(one) is float and 0 < one < _LARGEST_WEIGHT for one in self.weights)
        if not fits or len(self.weights) not in (0, len(self.labels)):
            raise InputError(
                f"Expected weights to be {len(self.labels)} numbers above 0, got "
                f"weights={list(self.weights)!r}."
            )

    def balanced_weights(self, targets: np.ndarray) -> np.ndarray:
        """Returns the weights (labels,) that balance the labels of training targets."""
        raise NotImplementedError

    def head(self) -> Head:
        if not self.labels:
            raise InputError("Expected labels, one for each output of the model, got none.")
        return Head(units=len(self.labels), pair=self.pair)

    def with_labels(self, labels: Sequence[str]) -> Self:
        return dataclasses.replace(self, labels=tuple(labels))

    def learned_from(self, examples: Examples) -> Self:
        task = dataclasses.replace(self, labels=tuple(examples.labels), weights=())
        if self.class_weights != BALANCED:
            return task
        if examples.targets is None:
            raise InputError(f"{examples.path}: expected a label column to train on.")
        weights = task.balanced_weights(examples.targets)
        return dataclasses.replace(task, weights=tuple(weights.tolist()))

    def suited(self, train: Examples, settings: Mapping[str, Any]) -> dict[str, Any]:
        if PLUS in self.modality:
            return suited_to_several(train.texts, settings, self.modality.split(PLUS))
        if self.modality == "image":
            return suited_to_pictures(train.texts, settings)
        if self.modality == "audio":
            return suited_to_sounds(train.texts, settings)
        return suited_to(train.texts, train.pairs) if self.modality == "text" else {}


def suited_to_several(
    rows: Sequence[Any], settings: Mapping[str, Any], kinds: Sequence[str]
) -> dict[str, Any]:
    """The options of a run on rows of several kinds: an encoder of each, of the size for it."""
    found: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        part = [row[kind] for row in rows]
        own = {name.removeprefix(f"{kind}."): value for name, value in settings.items()}
        suits = {"image": suited_to_pictures, "audio": suited_to_sounds}
        found[kind] = suits[kind](part, own) if kind in suits else suited_to(part, None)
    # The options of training are those of the kind that is read the longest.
    result = max(found.values(), key=lambda one: one["epochs"])
    for name in ("vocab_size", "max_length"):
        result |= {name: found["text"][name]} if "text" in found else {}
    result |= {
        "settings": {
            f"{kind}.{name}": value
            for kind, one in found.items() for name, value in one["settings"].items()
        },
        "model": PLUS.join(one["model"] for one in found.values()),
        "token_dropout": 0.0, "learning_rate": 1e-3,
    }  # fmt: skip
    result.pop("augment", None)  # a moved or mirrored picture may belie its text
    return result
