"""Base of the tasks that generate text, with logits of the next token at each position."""

from collections.abc import Callable
from typing import Any, ClassVar

from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.losses.divergence import softened_divergence
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.tasks.task import Task

VALIDATION_TOKENS = 2048
# Preserve case, accents and punctuation, since the text is to be generated.
AS_WRITTEN = {"lowercase": False, "strip_accents": False, "normalization": "identity"}


class GeneratingTask(Task):
    """A task whose model predicts the next token; subclasses add the data and `evaluate`."""

    output: ClassVar[str] = "text"
    selection: ClassVar[Metric] = Metric(name="loss", points=-1.0)
    generates: ClassVar[bool] = True

    def head(self) -> Head:
        return Head(kind="tied")

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean cross entropy of targets (B, T) and logits (B, T, V)."""
        from keras_transformer.zoo.losses.losses import TokenLoss

        return TokenLoss(label_smoothing)

    def output_difference(self, targets, expected, outputs, temperature: float) -> Any:
        """The mean divergence over the positions that have a target.

        Word-level distillation: Kim and Rush 2016, arXiv:1606.07947, section 3.1.
        """
        from keras import ops

        from keras_transformer.zoo.losses.losses import mean_where

        divergence = softened_divergence(expected, outputs, temperature)
        return mean_where(divergence, ops.not_equal(targets, NO_TARGET))
