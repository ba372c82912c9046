"""Classification of texts or pairs of texts: one of several labels each."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.labels import class_indices, learn_labels
from keras_transformer.zoo.data.tables import Examples, Table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.metrics import classification_metrics, undefined_by_classes
from keras_transformer.zoo.evaluation.ngrams import ngram_accuracy
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.tasks.labelled import LabelledTask
from keras_transformer.zoo.tasks.suited import suited_to


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification(LabelledTask):
    """Classification of texts, or of pairs of texts.

    Attributes:
        labels: class names in index order; empty to learn them from the training data.
        pair: whether an example is a pair of texts.
    """

    labels: tuple[str, ...] = ()

    name: ClassVar[str] = "classification"
    output: ClassVar[str] = "classes"
    metric: ClassVar[Metric] = Metric(name="accuracy", points=100.0)
    selection: ClassVar[Metric] = metric

    def __post_init__(self):
        object.__setattr__(self, "labels", checked_labels(self.labels))

    def head(self) -> Head:
        if not self.labels:
            raise InputError("Expected labels, one for each output of the model, got none.")
        return Head(units=len(self.labels), pair=self.pair)

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean cross entropy of indices (B,) and logits (B, classes).

        Label smoothing is that of Szegedy et al. 2016, section 7.
        """
        from keras_transformer.zoo.losses.losses import ClassLoss

        return ClassLoss(label_smoothing)

    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        names = self.labels or learn_labels(table, label)
        return class_indices(table, label, names), names

    def with_labels(self, labels: Sequence[str]) -> Self:
        return dataclasses.replace(self, labels=tuple(labels))

    def learned_from(self, examples: Examples) -> Self:
        return dataclasses.replace(self, labels=tuple(examples.labels))

    def strata(self, examples: Examples) -> np.ndarray | None:
        return examples.targets

    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        return classification_metrics(targets, scores, self.labels)

    def undefined(self, examples: Examples) -> dict[str, str]:
        return undefined_by_classes(examples.targets, self.labels)

    def suited(self, train: Examples) -> dict[str, Any]:
        return suited_to(train.texts, train.pairs) if self.modality == "text" else {}

    def baseline(self, train: Examples, validation: Examples) -> dict[str, float]:
        """Returns the accuracy of n-grams, see `ngram_accuracy`; two texts count as one."""
        if self.modality != "text":
            return {}
        known, asked = map(_joined, (train, validation))
        found = ngram_accuracy(known, train.targets, asked, validation.targets)
        return {} if found is None else {"accuracy": found}

    def output_difference(self, targets, expected, outputs, temperature: float):
        from keras import ops

        return ops.mean(softened_divergence(expected, outputs, temperature))


def checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Returns labels as a tuple.

    Raises:
        InputError: if there is only one, or one is there twice.
        TypeError: if they are not names.
    """
    if isinstance(labels, str):
        raise TypeError(f"Expected labels to be a list of names, got {labels!r}.")
    labels = tuple(labels)
    for label in labels:
        if not isinstance(label, str):
            raise TypeError(f"Expected labels to be names, got {label!r}.")
    if len(labels) == 1:
        raise InputError(f"Expected at least two labels, got {list(labels)}.")
    if len(set(labels)) < len(labels):
        raise InputError(f"Expected each label once, got {list(labels)}.")
    return labels


def softened_divergence(expected, outputs, temperature: float):
    """KL divergence from the teacher's softened probabilities, times temperature squared.

    The factor preserves the size of gradients (Hinton et al. 2015, arXiv:1503.02531, section 2.1).

    Args:
        expected: logits of the teacher, (..., classes).
        outputs: logits of the student, (..., classes).
        temperature: divisor of both.

    Returns:
        The divergence (...) in nats.
    """
    from keras import ops

    expected = ops.log_softmax(expected / temperature)
    found = ops.log_softmax(outputs / temperature)
    return ops.sum(ops.exp(expected) * (expected - found), axis=-1) * temperature**2


def _joined(examples: Examples) -> list[str]:
    """Each text, or both texts of a pair on a line each."""
    if examples.pairs is None:
        return examples.texts
    return ["\n".join(both) for both in zip(examples.texts, examples.pairs, strict=True)]
