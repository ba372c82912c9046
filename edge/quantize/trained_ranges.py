"""Quantization ranges in training: tracked by a moving average or learned by gradients.

On TensorFlow both use its op for simulated rounding, and the average is that of
tensorflow-model-optimization. On other backends the same is written in keras.ops.
"""

from typing import Any

import keras
from keras import ops

from keras_transformer.edge.quantize.ranges import learned_points
from keras_transformer.fake_quant import fake_quant, fake_quant_gradients
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.recipe import Recipe

# tfmot's default of 0.999 follows too slowly for the few steps that quantization-aware
# training takes.
RANGE_DECAY = 0.99


def train_ranges(
    model: keras.Model, recipe: Recipe, total_steps: int, learner: keras.Model | None = None
) -> keras.Model:
    """Makes the ranges trainable by the recipe's method: tracking or learning.

    Args:
        model: model that is not compiled yet.
        recipe: recipe of the run, whose optimizer also updates learned ranges.
        total_steps: number of steps of the run.
        learner: the model that steps train, see `Fit`; by default the model itself.

    Returns:
        The model that steps train with these ranges.
    """
    if recipe.quantize.ranges == "learned":
        learn_ranges(model)
        return learner or model
    return track_ranges(model, recipe.quantize.moving_steps(total_steps), learner)


def track_ranges(
    model: keras.Model, moving_steps: int | None = None, learner: keras.Model | None = None
) -> keras.Model:
    """Updates the ranges in training by tfmot's moving average.

    Args:
        model: model with points that own ranges.
        moving_steps: number of optimizer steps after which they are frozen (Krishnamoorthi 2018,
            arXiv:1806.08342, does so for the statistics of norms), so that the weights settle on
            the device's grid; None for never.
        learner: the model that has the optimizer; the model itself by default.

    Returns:
        The model that steps train: the learner, or one that counts its steps.
    """
    learner = learner or model
    by_tfmot = keras.config.backend() == "tensorflow"
    if moving_steps is not None and not by_tfmot:
        # On JAX a step does not see its optimizer's count.
        learner = Counted(learner)

    def decay() -> Any:
        if moving_steps is None:
            return RANGE_DECAY
        steps = learner.optimizer.iterations if by_tfmot else learner.steps
        return ops.where(ops.convert_to_tensor(steps) < moving_steps, RANGE_DECAY, 1.0)

    averaged = _by_tfmot() if by_tfmot else _averaged

    def track(point, inputs, training):
        return averaged(point, inputs, bool(training), decay() if training else RANGE_DECAY)

    for point in learned_points(model):
        point.tracker = track
    return learner


class Counted(keras.Model):
    """A learner whose training steps are counted in a variable that its layers can read.

    Args:
        learner: model that is not compiled yet, with its own loss or that of `compile`.
    """

    def __init__(self, learner: keras.Model):
        super().__init__(name="counted")
        self.learner = learner
        self.steps = keras.Variable(0, dtype="int32", trainable=False, name="steps")

    def compile(self, **arguments) -> None:
        """Compiles the learner, whose loss is that of this model."""
        self.learner.compile(**arguments)
        super().compile(**{**arguments, "loss": None})

    def call(self, inputs, training=None):
        """Returns the learner's outputs."""
        outputs = self.learner(inputs, training=training)
        if training:
            self.steps.assign_add(1)
        return outputs

    def compute_loss(self, **arguments):
        """Returns the learner's loss."""
        return self.learner.compute_loss(**arguments)


def _by_tfmot():
    """The tracker by tfmot's function."""
    # Importing tfmot takes seconds and changes which Keras `tensorflow` exposes.
    from tensorflow_model_optimization.python.core.quantization.keras.quant_ops import (
        MovingAvgQuantize,
    )

    def track(point, inputs, training, decay):
        return MovingAvgQuantize(
            inputs, point.range_min.value, point.range_max.value, ema_decay=decay,
            is_training=training, num_bits=point.bits, symmetric=point.symmetric,
        )  # fmt: skip

    return track


def _averaged(point: QuantPoint, inputs, training: bool, decay):
    """The rounded inputs; in training the bounds first follow the inputs' own."""
    low, high = (ops.convert_to_tensor(one) for one in (point.range_min, point.range_max))
    if training:
        values = ops.cast(inputs, "float32")
        lowest, highest = ops.min(values), ops.max(values)
        # As many steps above zero for each below it, or a range that contains zero.
        ratio = -(2**point.bits - 2) / 2**point.bits
        least, most = (highest / ratio, lowest * ratio) if point.symmetric else (0.0, 0.0)
        lowest, highest = ops.minimum(lowest, least), ops.maximum(highest, most)
        low, high = (
            ops.stop_gradient(bound - (bound - new) * (1.0 - decay))
            for bound, new in ((low, lowest), (high, highest))
        )
        point.range_min.assign(low)
        point.range_max.assign(high)
    return fake_quant(inputs, low, high, point.bits)


def learn_ranges(model: keras.Model) -> None:
    """Makes the bounds of the ranges trainable variables with gradients.

    Args:
        model: model that is not compiled yet.
    """
    on_tensorflow = keras.config.backend() == "tensorflow"
    forward, backward = _native() if on_tensorflow else (fake_quant, fake_quant_gradients)

    def round_to_range(point, inputs, training):
        low, high = (ops.convert_to_tensor(one) for one in (point.range_min, point.range_max))
        return _rounded(
            inputs, low, high, bits=point.bits, symmetric=point.symmetric, forward=forward,
            backward=backward,
        )  # fmt: skip

    for point in learned_points(model):
        point.tracker = round_to_range
        point.train_range()


def _native():
    """TensorFlow's rounding and its gradients."""
    import tensorflow as tf

    quantization = tf.quantization

    def forward(inputs, low, high, bits):
        return quantization.fake_quant_with_min_max_vars(inputs, low, high, num_bits=bits)

    def backward(upstream, inputs, low, high, bits):
        return quantization.fake_quant_with_min_max_vars_gradient(
            upstream, inputs, low, high, num_bits=bits
        )

    return forward, backward


def _rounded(inputs, low, high, *, bits, symmetric, forward, backward):
    """Values on the grid between two bounds, with gradients for all three.

    A rounding error inside the range is proportional to its width, and so has a gradient for both
    bounds (Esser et al. 2020, arXiv:1902.08153, section 2.1; for two bounds Bhalgat et al. 2020,
    arXiv:2004.09576, section 3.1); outside, the bound itself is the value. The sums over all values
    are not scaled down as Esser et al. do for SGD: Adam does not see the scale, unless a gradient
    is as small as its epsilon.
    """

    @ops.custom_gradient
    def rounded(inputs, low, high):
        outputs = forward(inputs, low, high, bits)

        def gradient(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream
            inside, to_low, to_high = backward(upstream, inputs, low, high, bits)
            of_width = ops.sum(inside * (outputs - inputs)) / (high - low)
            to_low, to_high = to_low - of_width, to_high + of_width
            if symmetric:
                # Both bounds follow their common factor.
                of_factor = low * to_low + high * to_high
                to_low, to_high = of_factor / low, of_factor / high
            return inside, to_low, to_high

        return outputs, gradient

    return rounded(inputs, low, high)
