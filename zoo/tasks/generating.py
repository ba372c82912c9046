"""Tasks that generate text: logits of the next token at each position."""

from collections.abc import Callable
from typing import Any, ClassVar

from keras import ops

from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.tasks.classification import softened_divergence
from keras_transformer.zoo.tasks.task import Task

VALIDATION_TOKENS = 2048
# Cased, with its accents, as it is to be generated.
AS_WRITTEN = {"lowercase": False, "strip_accents": False}


class GeneratingTask(Task):
    """A task whose model predicts each next token; a subclass adds its data and `evaluate`."""

    output: ClassVar[str] = "text"
    selection: ClassVar[Metric] = Metric(name="loss", points=-1.0)
    generates: ClassVar[bool] = True

    def head(self) -> Head:
        return Head(kind="tied")

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns `token_loss` with the labels smoothed."""
        return lambda targets, logits: token_loss(targets, logits, label_smoothing)

    def output_difference(self, targets, expected, outputs, temperature: float) -> Any:
        """The divergence at each position that has a target, a mean.

        Word-level distillation: Kim and Rush 2016, arXiv:1606.07947, section 3.1.
        """
        divergence = softened_divergence(expected, outputs, temperature)
        return _mean_where(divergence, ops.not_equal(targets, NO_TARGET))


def token_loss(targets, logits, label_smoothing: float = 0.0):
    """Mean cross entropy in nats of (B, T) targets and (B, T, V) logits.

    Positions whose target is `NO_TARGET` do not count. Labels are smoothed as in Szegedy et al.
    2016, section 7.
    """
    targets = ops.cast(targets, "int32")
    is_real = ops.not_equal(targets, NO_TARGET)
    targets = ops.maximum(targets, 0)
    nats = ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
    if label_smoothing:
        # -log p of a target is the same sum over all tokens less its own logit, so the mean over
        # the vocabulary needs no second softmax and no (B, T, V) of targets.
        width = logits.shape[-1]
        flat = ops.reshape(targets, (-1,))
        places = ops.arange(ops.shape(flat)[0]) * width + flat
        own = ops.reshape(ops.take(ops.reshape(logits, (-1,)), places), ops.shape(targets))
        nats = nats + label_smoothing * (own - ops.mean(logits, axis=-1))
    return _mean_where(nats, is_real)


def _mean_where(values, is_real):
    """The mean of the values that count, 0 where none does."""
    real = ops.cast(is_real, "float32")
    return ops.sum(values * real) / ops.maximum(ops.sum(real), 1.0)
