"""Multi-label classification of texts or pairs of texts: any number of labels each."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.label_lists import label_indicators, learn_label_sets
from keras_transformer.zoo.data.rows import Examples
from keras_transformer.zoo.data.tables import Table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.label_sets import (
    best_thresholds,
    label_set_metrics,
    undefined_by_label_sets,
)
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.outputs import LABEL_SETS, check_thresholds, threshold_logits
from keras_transformer.zoo.tasks.labelled_data import LabelledData
from keras_transformer.zoo.tasks.named_labels import NamedLabelsTask

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiLabel(NamedLabelsTask):
    """Multi-label classification of texts, or of pairs of texts: any number of labels each.

    Each label has a probability of its own, and a threshold that is tuned on validation data.

    Attributes:
        labels, class_weights, focal, weights: see `NamedLabelsTask`.
        pair: whether an example is a pair of texts.
        separator: character between the labels of a text; lists of labels need none.
        thresholds: probability of each label from which on it is predicted; empty for 0.5.
    """

    separator: str = dataclasses.field(default=",", compare=False)
    thresholds: tuple[float, ...] = dataclasses.field(default=(), compare=False)

    name: ClassVar[str] = "multi-label"
    output: ClassVar[str] = LABEL_SETS
    metric: ClassVar[Metric] = Metric(name="micro_f1", points=100.0)
    # Of the ranking alone: thresholds are tuned once the weights are chosen.
    selection: ClassVar[Metric] = Metric(name="mean_average_precision", points=100.0)
    fallback: ClassVar[Metric] = Metric(name="cross_entropy", points=-1.0)
    reads_lists: ClassVar[bool] = True
    tuned_fields: ClassVar[tuple[str, ...]] = ("thresholds",)
    own_options: ClassVar[tuple[str, ...]] = (*NamedLabelsTask.own_options, "separator")
    stored: ClassVar[tuple[str, ...]] = (*NamedLabelsTask.stored, "separator", "thresholds")

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.thresholds, list):
            object.__setattr__(self, "thresholds", tuple(self.thresholds))
        if not isinstance(self.separator, str) or len(self.separator) != 1:
            raise InputError(
                f"Expected separator to be one character, got separator={self.separator!r}."
            )
        if self.thresholds != ():
            check_thresholds(self.thresholds, len(self.labels))

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean binary cross entropy of targets and logits (B, labels)."""
        from keras_transformer.zoo.losses.label_sets import LabelSetLoss

        return LabelSetLoss(label_smoothing, self.weights, self.focal)

    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        names = self.labels or learn_label_sets(table, label, self.separator)
        return label_indicators(table, label, self.separator, names), names

    def balanced_weights(self, targets: np.ndarray) -> np.ndarray:
        """Returns for each label the number of rows without it over those with it."""
        with_it = targets.sum(axis=0)
        without = len(targets) - with_it
        # A label that all rows have, or none, has nothing to be balanced with.
        return np.where(with_it * without > 0, without / np.maximum(with_it, 1), 1.0)

    def tuned(
        self, data: LabelledData, model: "keras.Model", metrics: dict
    ) -> tuple[Self, dict[str, Any]]:
        """Returns the task with thresholds of the best F1 on the validation data, and its metrics.

        See `best_thresholds`.
        """
        targets, scores = data.validation.targets, data.validation_scores(model)
        task = dataclasses.replace(self, thresholds=tuple(best_thresholds(targets, scores)))
        return task, {**metrics, **task.metrics(targets, scores)}

    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        cuts = threshold_logits(self.thresholds, len(self.labels))
        return label_set_metrics(targets, scores, self.labels, cuts)

    def undefined(self, examples: Examples) -> dict[str, str]:
        return undefined_by_label_sets(examples.targets)

    def suited(self, train: Examples, settings: Mapping[str, Any]) -> dict[str, Any]:
        values = super().suited(train, settings)
        # Half of a smoothed target would be far more than most labels' share of the rows.
        return {name: value for name, value in values.items() if name != "label_smoothing"}

    def output_difference(self, targets, expected, outputs, temperature: float):
        """The mean divergence of each label's softened probability from the teacher's."""
        from keras import ops

        expected, outputs = expected / temperature, outputs / temperature
        share = ops.sigmoid(expected)
        # log p is -softplus(-z), and log(1 - p) is -softplus(z).
        has = share * (ops.softplus(-outputs) - ops.softplus(-expected))
        lacks = (1.0 - share) * (ops.softplus(outputs) - ops.softplus(expected))
        return ops.mean(has + lacks) * temperature**2
