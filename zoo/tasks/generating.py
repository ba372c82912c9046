"""Tasks that generate text: logits of the next token at each position."""

from collections.abc import Callable
from typing import Any, ClassVar

from keras import ops

from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.tasks.classification import softened_divergence
from keras_transformer.zoo.tasks.losses import TokenLoss, mean_where
from keras_transformer.zoo.tasks.task import Task

VALIDATION_TOKENS = 2048
# Cased, with its accents and its punctuation, as it is to be generated.
AS_WRITTEN = {"lowercase": False, "strip_accents": False, "normalization": "identity"}


class GeneratingTask(Task):
    """A task whose model predicts each next token; a subclass adds its data and `evaluate`."""

    output: ClassVar[str] = "text"
    selection: ClassVar[Metric] = Metric(name="loss", points=-1.0)
    generates: ClassVar[bool] = True

    def head(self) -> Head:
        return Head(kind="tied")

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean cross entropy of (B, T) targets and (B, T, V) logits."""
        return TokenLoss(label_smoothing)

    def output_difference(self, targets, expected, outputs, temperature: float) -> Any:
        """The divergence at each position that has a target, a mean.

        Word-level distillation: Kim and Rush 2016, arXiv:1606.07947, section 3.1.
        """
        divergence = softened_divergence(expected, outputs, temperature)
        return mean_where(divergence, ops.not_equal(targets, NO_TARGET))
