"""Classification of texts or pairs of texts: one of several labels each."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.labels import class_indices, learn_labels
from keras_transformer.zoo.data.rows import Examples
from keras_transformer.zoo.data.tables import Table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.calibration import (
    best_temperature,
    expected_calibration_error,
)
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.metrics import classification_metrics, undefined_by_classes
from keras_transformer.zoo.evaluation.ngrams import ngram_accuracy
from keras_transformer.zoo.evaluation.out_of_scope import best_scope_threshold
from keras_transformer.zoo.evaluation.significance import Answers
from keras_transformer.zoo.losses.divergence import softened_divergence
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.numerals import is_float32
from keras_transformer.zoo.outputs import CLASSES, check_temperature, class_probabilities
from keras_transformer.zoo.scope import PROBABILITY, SCORES, check_out_of_scope, is_in_scope
from keras_transformer.zoo.tasks.labelled_data import LabelledData
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
        scope_score: name of the score by which rows are rejected as out of the scope, see
            `scope.SCORES`.
        scope_weight: weight of what is out of the scope where its threshold is found, see
            `best_scope_threshold`.
        temperature: divisor of the logits whose softmax is the probabilities, see
            `class_probabilities`.
        out_of_scope: what decides which rows have no label, see `is_in_scope`; None for nothing.
    """

    calibrate: bool = dataclasses.field(default=True, compare=False)
    scope_score: str = dataclasses.field(default=PROBABILITY, compare=False)
    scope_weight: float = dataclasses.field(default=1.0, compare=False)
    temperature: float = dataclasses.field(default=1.0, compare=False)
    out_of_scope: Mapping[str, Any] | None = dataclasses.field(default=None, compare=False)

    name: ClassVar[str] = "classification"
    output: ClassVar[str] = CLASSES
    metric: ClassVar[Metric] = Metric(name="accuracy", points=100.0)
    selection: ClassVar[Metric] = metric
    own_options: ClassVar[tuple[str, ...]] = (
        *NamedLabelsTask.own_options, "calibrate", "scope_score", "scope_weight"
    )
    stored: ClassVar[tuple[str, ...]] = (
        *NamedLabelsTask.stored, "calibrate", "scope_score", "scope_weight", "temperature",
        "out_of_scope",
    )
    has_scope: ClassVar[bool] = True
    tuned_fields: ClassVar[tuple[str, ...]] = ("temperature", "out_of_scope")

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.calibrate, bool):
            raise InputError(
                f"Expected calibrate to be true or false, got calibrate={self.calibrate!r}."
            )
        if self.scope_score not in list(SCORES):
            raise InputError(
                f"Expected scope_score to be one of {', '.join(SCORES)}, got "
                f"scope_score={self.scope_score!r}."
            )
        if not is_float32(self.scope_weight) or not self.scope_weight > 0:
            raise InputError(
                "Expected scope_weight to be a number above 0, got "
                f"scope_weight={self.scope_weight!r}."
            )
        check_temperature(self.temperature)
        if self.out_of_scope is not None:
            check_out_of_scope(self.out_of_scope)

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

    def tuned(
        self, data: LabelledData, model: "keras.Model", metrics: dict
    ) -> tuple[Self, dict[str, Any]]:
        """Returns the task with the temperature of the validation data, see `best_temperature`.

        With rows out of the scope, it has the threshold of `best_scope_threshold` too.
        """
        if not self.calibrate and data.out_of_scope is None:
            return self, dict(metrics)
        targets, scores = data.validation.targets, data.validation_scores(model)
        task = self
        if self.calibrate:
            task = dataclasses.replace(task, temperature=best_temperature(targets, scores))
        if data.out_of_scope is None:
            return task, {**metrics, **task.metrics(targets, scores)}
        outside = data.scores_of(model, data.out_of_scope)
        score = SCORES[task.scope_score]
        threshold = best_scope_threshold(
            score(scores, task.temperature), scores.argmax(axis=1) == targets,
            score(outside, task.temperature), task.scope_weight,
        )  # fmt: skip
        decides = {"score": task.scope_score, "threshold": threshold}
        task = dataclasses.replace(task, out_of_scope=decides)
        found = task.metrics(targets, scores) | task.scope_metrics(outside)
        return task, {**metrics, **found}

    def scope_metrics(self, scores: np.ndarray) -> dict[str, Any]:
        """Returns the share of rows out of the scope that are rejected.

        Args:
            scores: logits (rows, classes) of such rows.

        Raises:
            InputError: if nothing decides what is out of the scope.
        """
        if self.out_of_scope is None:
            raise InputError(
                "Expected a model that rejects what is out of its scope, got one without a "
                "threshold; train with --out-of-scope."
            )
        rejected = ~is_in_scope(scores, self.temperature, self.out_of_scope)
        return {"out_of_scope_recall": float(rejected.mean()), "out_of_scope_rows": len(scores)}

    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        names = self.labels or learn_labels(table, label)
        return class_indices(table, label, names), names

    def strata(self, examples: Examples) -> np.ndarray | None:
        return examples.targets

    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        """Returns `classification_metrics`, and the error of the probabilities as confidences.

        `accuracy` is that of the most probable labels; where rows may be rejected,
        `in_scope_accuracy` counts those of rows that are not.
        """
        confidences = class_probabilities(scores, self.temperature).max(axis=1)
        hits = scores.argmax(axis=1) == targets
        error = expected_calibration_error(hits, confidences)
        found = classification_metrics(targets, scores, self.labels)
        own = {"accuracy": found["accuracy"]}
        if self.out_of_scope is not None:
            accepted = is_in_scope(scores, self.temperature, self.out_of_scope)
            own["in_scope_accuracy"] = float((hits & accepted).mean())
        return {**own, "expected_calibration_error": error, **found}

    def answered(self, metric: Metric, targets: np.ndarray, scores: np.ndarray) -> Answers:
        right = scores.argmax(axis=1) == targets
        return Answers(metric=metric, of=lambda rows: float(right[rows].mean()), right=right)

    def undefined(self, examples: Examples) -> dict[str, str]:
        return undefined_by_classes(examples.targets, self.labels)

    def baseline(self, train: Examples, validation: Examples) -> dict[str, float]:
        """Returns the accuracy of n-grams, see `ngram_accuracy`; two texts count as one.

        Of rows of several kinds it is that of their texts alone.
        """
        kind = modality_named(self.modality)
        if not kind.texts_of(train.texts[:1]):
            return {}
        known, asked = (_joined(kind.texts_of(one.texts), one.pairs) for one in (train, validation))
        found = ngram_accuracy(known, train.targets, asked, validation.targets)
        return {} if found is None else {"accuracy": found}

    def output_difference(self, targets, expected, outputs, temperature: float):
        from keras import ops

        return ops.mean(softened_divergence(expected, outputs, temperature))


def _joined(texts: list[str], pairs: list[str] | None) -> list[str]:
    """Each text, or both texts of a pair on a line each."""
    if pairs is None:
        return texts
    return ["\n".join(both) for both in zip(texts, pairs, strict=True)]
