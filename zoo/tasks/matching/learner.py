"""Training of two encoders whose vectors are compared, with a learned temperature."""

import math
from collections.abc import Callable

import keras
from keras import ops

# The largest factor of cosines, as in the paper.
MOST_SCALE = 100.0


class ContrastiveLearner(keras.Model):
    """A model of two encoders in training, with the factor of its vectors' products.

    The factor's logarithm is learned, and cut to that of 100 after each step (Radford et al. 2021,
    arXiv:2103.00020, section 2.5).

    Args:
        model: model whose outputs are vectors of length 1 by kind.
        scale: first factor.
    """

    def __init__(self, model: keras.Model, scale: float):
        super().__init__(name="contrastive_learner")
        self.model = model
        self.log_scale = self.add_weight(
            name="log_scale", shape=(), initializer=keras.initializers.Constant(math.log(scale)),
            constraint=_AtMost(),
        )  # fmt: skip

    @property
    def scale(self) -> float:
        """The factor as it is now."""
        return float(ops.exp(self.log_scale))

    def compile(self, *, loss: Callable, **arguments) -> None:
        """Sets the loss of ids, vectors by kind and the factor, see `Contrastive.loss`."""
        self._of_pairs = loss
        super().compile(loss=None, **arguments)

    def call(self, inputs, training=None):
        return self.model(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        scale = ops.exp(ops.convert_to_tensor(self.log_scale))
        return self._of_pairs(y, y_pred, scale) + sum(self.losses, 0.0)


class _AtMost(keras.constraints.Constraint):
    """Cuts the logarithm of a factor to that of `MOST_SCALE`."""

    def __call__(self, w):
        return ops.minimum(w, math.log(MOST_SCALE))
