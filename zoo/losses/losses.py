"""Losses of the tasks, serializable with a saved model."""

import keras
from keras import ops

from keras_transformer.zoo.answering.windows import BEGINS, ENDS, MAY_BEGIN, MAY_END
from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.losses.divergence import softened_divergence

# Logit of a position where no span may begin or end; its probability is 0, and all are finite.
_CLOSED = -1e9


@keras.saving.register_keras_serializable(package="keras_transformer")
class ClassLoss(keras.losses.Loss):
    """Mean cross entropy in nats of class indices (B,) or (B, 1) and logits (B, classes).

    Targets (B, classes) are the shares of the classes in a mixed row.

    Args:
        label_smoothing: fraction of each target that is spread over all classes (Szegedy et al.
            2016, arXiv:1512.00567, section 7).
        weights: weight of the rows of each class; empty for 1.
        focal: exponent of 1 - p, the factor of a row whose label has the probability p (Lin et al.
            2017, arXiv:1708.02002, section 3.2); 0 for the cross entropy as it is.
    """

    def __init__(self, label_smoothing=0.0, weights=(), focal=0.0, name="class_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing
        self.weights = tuple(weights)
        self.focal = focal

    def call(self, y_true, y_pred):
        classes = y_pred.shape[-1]
        if len(y_true.shape) == 2 and y_true.shape[-1] == classes > 1:
            labels = ops.cast(y_true, y_pred.dtype)
        else:
            labels = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), classes)
        targets = labels * (1.0 - self.label_smoothing) + self.label_smoothing / classes
        log_probabilities = ops.log_softmax(y_pred)
        nats = -ops.sum(targets * log_probabilities, axis=-1)
        if self.focal:
            # An exponent below 1 has no gradient at 0.
            missing = 1.0 - ops.exp(ops.sum(labels * log_probabilities, axis=-1))
            nats = nats * ops.maximum(missing, 1e-6) ** self.focal
        if self.weights:
            weights = ops.convert_to_tensor(self.weights, labels.dtype)
            nats = nats * ops.sum(labels * weights, axis=-1)
        return ops.mean(nats)

    def get_config(self):
        own = {name: getattr(self, name) for name in ("label_smoothing", "weights", "focal")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="keras_transformer")
class TokenLoss(keras.losses.Loss):
    """`token_loss` of targets (B, T) and logits (B, T, V).

    Args:
        label_smoothing: fraction of each target that is spread over the vocabulary.
    """

    def __init__(self, label_smoothing=0.0, name="token_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        return token_loss(y_true, y_pred, self.label_smoothing)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="keras_transformer")
class ReplacedLoss(keras.losses.Loss):
    """Mean cross entropy in nats of logits (B, T, 1) that a piece replaces another one.

    Targets (B, T) are above 0 where it does, `NO_TARGET` where it does not count.
    """

    def __init__(self, name="replaced_loss", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        targets, logits = ops.cast(y_true, "int32"), y_pred[..., 0]
        nats = ops.softplus(ops.where(targets > 0, -logits, logits))
        return mean_where(nats, ops.not_equal(targets, NO_TARGET))


@keras.saving.register_keras_serializable(package="keras_transformer")
class NumberLoss(keras.losses.Loss):
    """Mean squared error of (B,) numbers and (B, 1) outputs, in deviations.

    Args:
        deviation: of the targets.
    """

    def __init__(self, deviation=1.0, name="number_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.deviation = deviation

    def call(self, y_true, y_pred):
        y_true = ops.cast(ops.reshape(y_true, (-1,)), "float32")
        # Divided first: the square of a large difference is infinite.
        return ops.mean(ops.square((ops.reshape(y_pred, (-1,)) - y_true) / self.deviation))

    def get_config(self):
        return {**super().get_config(), "deviation": self.deviation}


@keras.saving.register_keras_serializable(package="keras_transformer")
class SpanLoss(keras.losses.Loss):
    """Mean cross entropy in nats of the begin and the end of a span, of windows of any length.

    Targets (B, T) are the bits of `answering.windows`, `NO_TARGET` for padding; logits (B, T, 2)
    compete at the positions where a span may begin, or end.
    """

    def __init__(self, name="span_loss", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        nats = 0.0
        for logits, is_open, is_right in _ends(y_true, y_pred):
            found = ops.log_softmax(ops.where(is_open, logits, _CLOSED))
            nats = nats - ops.mean(ops.sum(ops.where(is_right, found, 0.0), axis=-1))
        return nats / 2.0


def span_divergence(targets, expected, outputs, temperature: float):
    """The mean divergence of a span's begin and end, as `softened_divergence` of each.

    Args:
        targets: as for `SpanLoss`.
        expected, outputs: logits (B, T, 2) of teacher and student.
        temperature: divisor of both.
    """
    both = zip(_ends(targets, expected), _ends(targets, outputs), strict=True)
    values = [
        softened_divergence(
            ops.where(is_open, teacher, _CLOSED), ops.where(is_open, student, _CLOSED), temperature
        )
        for (teacher, is_open, _), (student, _, _) in both
    ]
    return ops.mean(values[0] + values[1]) / 2.0


def _ends(targets, logits):
    """For begin and end: logits (B, T), where it may be, and where it is."""
    codes = ops.maximum(ops.cast(targets, "int32"), 0)
    for place, (may, does) in enumerate(((MAY_BEGIN, BEGINS), (MAY_END, ENDS))):
        is_open, is_right = (
            ops.not_equal(ops.bitwise_and(codes, bit), 0) for bit in (may, does)
        )
        yield logits[..., place], is_open, is_right


def token_loss(targets, logits, label_smoothing: float = 0.0):
    """Mean cross entropy in nats of targets (B, T) and logits (B, T, V).

    Positions whose target is `NO_TARGET` are ignored. Label smoothing is that of Szegedy et al.
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
    return mean_where(nats, is_real)


def mean_where(values, is_real):
    """The mean of the values where `is_real` is true, 0 if it is true nowhere."""
    real = ops.cast(is_real, "float32")
    return ops.sum(values * real) / ops.maximum(ops.sum(real), 1.0)
