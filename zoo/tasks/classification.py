"""Classification of texts or pairs of texts: one of several labels each."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.labels import class_indices, learn_labels
from keras_transformer.zoo.data.tables import Examples, Table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.calibration import (
    best_temperature,
    expected_calibration_error,
)
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.metrics import classification_metrics, undefined_by_classes
from keras_transformer.zoo.evaluation.ngrams import ngram_accuracy
from keras_transformer.zoo.outputs import CLASSES, check_temperature, class_probabilities
from keras_transformer.zoo.tasks.labelled import LabelledData
from keras_transformer.zoo.tasks.named_labels import NamedLabelsTask

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification(NamedLabelsTask):
    """Classification of texts, or of pairs of texts.

    Attributes:
        labels, class_weights, focal, weights: see `NamedLabelsTask`.
        pair: whether an example is a pair of texts.
        calibrate: whether the temperature is tuned on validation data.
        temperature: divisor of the logits whose softmax is the probabilities, see
            `class_probabilities`.
    """

    calibrate: bool = dataclasses.field(default=True, compare=False)
    temperature: float = dataclasses.field(default=1.0, compare=False)

    name: ClassVar[str] = "classification"
    output: ClassVar[str] = CLASSES
    metric: ClassVar[Metric] = Metric(name="accuracy", points=100.0)
    selection: ClassVar[Metric] = metric
    own_options: ClassVar[tuple[str, ...]] = (*NamedLabelsTask.own_options, "calibrate")
    stored: ClassVar[tuple[str, ...]] = (*NamedLabelsTask.stored, "calibrate", "temperature")

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.calibrate, bool):
            raise InputError(
                f"Expected calibrate to be true or false, got calibrate={self.calibrate!r}."
            )
        check_temperature(self.temperature)

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean cross entropy of indices (B,) and logits (B, classes).

        Label smoothing is that of Szegedy et al. 2016, section 7.
        """
        from keras_transformer.zoo.losses.losses import ClassLoss

        return ClassLoss(label_smoothing, self.weights, self.focal)

    def balanced_weights(self, targets: np.ndarray) -> np.ndarray:
        """Returns for each class the mean number of rows of a class over its own."""
        counts = np.bincount(targets, minlength=len(self.labels))
        # A class without rows has no row to weigh.
        return np.where(counts, len(targets) / (len(self.labels) * np.maximum(counts, 1)), 1.0)

    def tuned(self, data: LabelledData, model: "keras.Model") -> tuple[Self, dict[str, Any]]:
        """Returns the task with the temperature of the validation data, see `best_temperature`."""
        if not self.calibrate:
            return self, {}
        targets, scores = data.validation.targets, data.validation_scores(model)
        task = dataclasses.replace(self, temperature=best_temperature(targets, scores))
        return task, task.metrics(targets, scores)

    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        names = self.labels or learn_labels(table, label)
        return class_indices(table, label, names), names

    def strata(self, examples: Examples) -> np.ndarray | None:
        return examples.targets

    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        """Returns `classification_metrics`, and the error of the probabilities as confidences."""
        confidences = class_probabilities(scores, self.temperature).max(axis=1)
        hits = scores.argmax(axis=1) == targets
        error = expected_calibration_error(hits, confidences)
        found = classification_metrics(targets, scores, self.labels)
        return {"accuracy": found["accuracy"], "expected_calibration_error": error, **found}

    def undefined(self, examples: Examples) -> dict[str, str]:
        return undefined_by_classes(examples.targets, self.labels)

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
