"""Quantization ranges in training: tracked by a moving average or learned by gradients.

On TensorFlow both use its op for simulated rounding, and the average is that of
tensorflow-model-optimization. On other backends the same is written in keras.ops.
"""

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
    on_tensorflow = keras.config.backend() == "tensorflow"
    if on_tensorflow:
        from keras_transformer.edge.quantize.by_tfmot import averaged
    else:
        averaged = _averaged
        if moving_steps is not None:
            # On JAX a step does not see its optimizer's count.
            learner = Counted(learner)

    def track(point, inputs, training):
        decay = RANGE_DECAY
        if training and moving_steps is not None:
            steps = learner.optimizer.iterations if on_tensorflow else learner.steps
            decay = ops.where(ops.convert_to_tensor(steps) < moving_steps, RANGE_DECAY, 1.0)
        return averaged(point, inputs, bool(training), decay)

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

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the learner's loss."""
        return self.learner.compute_loss(x, y, y_pred, sample_weight, training)


def _averaged(point: QuantPoint, inputs, training: bool, decay):
    """The rounded inputs; in training the bounds first follow the inputs' own."""
    # The cast makes a tensor of the variable.
    low, high = (ops.cast(one, "float32") for one in (point.range_min, point.range_max))
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
    if keras.config.backend() == "tensorflow":
        from keras_transformer.edge.quantize.by_tfmot import backward, forward
    else:
        forward, backward = fake_quant, fake_quant_gradients

    def round_to_range(point, inputs, training):
        # The cast makes a tensor of the variable.
        low, high = (ops.cast(one, "float32") for one in (point.range_min, point.range_max))
        return _rounded(
            inputs, low, high, bits=point.bits, symmetric=point.symmetric, forward=forward,
            backward=backward,
        )  # fmt: skip

    for point in learned_points(model):
        point.tracker = round_to_range
        point.train_range()


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
