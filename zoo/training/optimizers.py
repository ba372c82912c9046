"""Optimizers and learning-rate schedules by name."""

import math
from collections.abc import Mapping, Sequence

import keras
from keras import ops

from keras_transformer.quantization import KernelLayer
from keras_transformer.zoo.models.build import all_layers, is_range
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training.adaptation.layer_rates import layer_rates

# Ratio of the learning rate of the logarithm of a range's bound to that of the weights: fine-tuning
# uses a fraction of the weights' first rate, and the bounds have few steps to converge.
RANGE_RATE = 20.0
# Maximum factor by which a step changes a bound, whatever the gradient.
LARGEST_RANGE_STEP = 2.0


@keras.saving.register_keras_serializable(package="keras_transformer")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to a peak, followed by one of four schedules.

    `linear` and `cosine` (Loshchilov and Hutter 2017, section 3) reach zero one step after the
    last, so that no step has a rate of zero;
    `inverse_sqrt` is that of Vaswani et al. 2017, section 5.3, with a given peak; `constant`.

    Args:
        kind: name of the schedule, one of the four.
        peak: peak learning rate.
        warmup_steps: number of steps of the warm-up.
        total_steps: number of steps of the run.
    """

    def __init__(self, kind: str, peak: float, warmup_steps: int, total_steps: int):
        self.kind = kind
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step):
        # Steps count from 1 here, so that the first step of the warm-up has a rate above zero too.
        step = ops.cast(step, "float32") + 1.0
        warmup = float(max(1, self.warmup_steps))
        left = (self.total_steps + 1 - step) / max(1.0, self.total_steps + 1 - warmup)
        left = ops.clip(left, 0.0, 1.0)
        after = {
            "linear": lambda: left,
            "cosine": lambda: 0.5 * (1.0 - ops.cos(math.pi * left)),
            "inverse_sqrt": lambda: ops.sqrt(warmup / step),
            "constant": lambda: ops.ones_like(step),
        }[self.kind]()
        return self.peak * ops.where(step < warmup, step / warmup, after)

    def get_config(self):
        return {
            "kind": self.kind,
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }


class _RangeSteps:
    """An optimizer whose steps of the bounds of ranges are relative to the bounds.

    They are steps of the bounds' logarithms to first order, as in Jain et al. 2020,
    arXiv:1903.08066: ranges of any width need equally few steps, and no bound crosses zero.

    Args:
        moving_steps: number of steps after which the bounds are frozen.
        **kwargs: arguments of the optimizer.
    """

    def __init__(self, *, moving_steps: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.moving_steps = moving_steps

    def get_config(self):
        return {**super().get_config(), "moving_steps": self.moving_steps}

    def update_step(self, gradient, variable, learning_rate):
        if not is_range(variable.name):
            super().update_step(gradient, variable, learning_rate)
            return
        before = ops.copy(variable)
        rate = RANGE_RATE * ops.cast(learning_rate, before.dtype) * before
        super().update_step(gradient * before, variable, rate)
        factor = variable / ops.where(before == 0.0, 1.0, before)
        after = before * ops.clip(factor, 1 / LARGEST_RANGE_STEP, LARGEST_RANGE_STEP)
        # Momentum would keep moving them at a learning rate of zero.
        self.assign(variable, ops.where(self.iterations < self.moving_steps, after, before))


class _WholeGradients:
    """An optimizer that adds up what the rows of a batch give to one row of a table.

    TensorFlow's gradient of a table has a slice for each token. Keras squares and clips the slices
    one by one, so that Adam's second moment would be the sum of the squares of a token's gradients
    instead of the square of their sum, and the norm would be another than the gradient's.
    """

    def apply(self, grads, trainable_variables=None):
        # Slices plus a tensor are a tensor.
        whole = [ops.add(one, 0.0) if hasattr(one, "dense_shape") else one for one in grads]
        return super().apply(whole, trainable_variables)


@keras.saving.register_keras_serializable(package="keras_transformer")
class Adam(_WholeGradients, keras.optimizers.Adam):
    """Adam of whole gradients."""


@keras.saving.register_keras_serializable(package="keras_transformer")
class SGD(_WholeGradients, keras.optimizers.SGD):
    """Gradient descent, with momentum or without, of whole gradients."""


@keras.saving.register_keras_serializable(package="keras_transformer")
class AdamW(_WholeGradients, keras.optimizers.AdamW):
    """AdamW of whole gradients, without decay of biases, norms, ranges and scales of logits."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # Whole last components: Keras matches the path on TensorFlow, and the name on JAX.
        names = "bias|gamma|beta|range_min|range_max|log_scale"
        self.exclude_from_weight_decay(var_names=[f"(^|/)({names})(:0)?$"])


@keras.saving.register_keras_serializable(package="keras_transformer")
class RangeAdam(_RangeSteps, Adam):
    """Adam over weights and the bounds of ranges."""


@keras.saving.register_keras_serializable(package="keras_transformer")
class RangeAdamW(_RangeSteps, AdamW):
    """AdamW over weights and the bounds of ranges."""


@keras.saving.register_keras_serializable(package="keras_transformer")
class RangeSGD(_RangeSteps, SGD):
    """SGD over weights and the bounds of ranges."""


class _LayerSteps:
    """An optimizer with a factor of the learning rate, and so of the weight decay, by weight.

    Args:
        rates: factors by weight path.
        **kwargs: arguments of the optimizer.
    """

    def __init__(self, *, rates: Mapping[str, float], **kwargs):
        super().__init__(**kwargs)
        self.rates = dict(rates)

    def get_config(self):
        return {**super().get_config(), "rates": dict(self.rates)}

    def build(self, variables):
        # A step gets the backend's variables, which have no path.
        self.factors = [self.rates.get(variable.path, 1.0) for variable in variables]
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate * self._factor(variable))

    def _apply_weight_decay(self, variables):
        decay = self.weight_decay
        for variable in variables if decay is not None else ():
            self.weight_decay = decay * self._factor(variable)
            super()._apply_weight_decay([variable])
        self.weight_decay = decay

    def _factor(self, variable):
        return self.factors[self._get_variable_index(variable)]


@keras.saving.register_keras_serializable(package="keras_transformer")
class LayerAdam(_LayerSteps, Adam):
    """Adam with learning rates by weight."""


@keras.saving.register_keras_serializable(package="keras_transformer")
class LayerAdamW(_LayerSteps, AdamW):
    """AdamW with learning rates by weight."""


@keras.saving.register_keras_serializable(package="keras_transformer")
class LayerSGD(_LayerSteps, SGD):
    """SGD with learning rates by weight."""


# Name -> the optimizer, and its variants for runs that learn ranges, and with rates by weight.
OPTIMIZERS = {
    "adam": (Adam, RangeAdam, LayerAdam),
    "adamw": (AdamW, RangeAdamW, LayerAdamW),
    "sgd": (SGD, RangeSGD, LayerSGD),
    "momentum": (SGD, RangeSGD, LayerSGD),
}


def copies_of_weights(recipe: Recipe) -> int:
    """Returns how many arrays of the weights' size a run keeps besides them."""
    moments = {"adam": 2, "adamw": 2, "momentum": 1, "sgd": 0}[recipe.optimizer.name]
    averaged = min(recipe.optimizer.average, recipe.training.epochs) + (recipe.optimizer.ema > 0)
    # The gradient, and the weights of the best epoch.
    return moments + averaged + 2 + (recipe.training.accumulate > 1)


def make_optimizer(
    recipe: Recipe, total_steps: int, paths: Sequence[str] = ()
) -> keras.optimizers.Optimizer:
    """Returns the optimizer of a recipe for a run of the given number of steps.

    Args:
        recipe: recipe of the run.
        total_steps: number of its steps, each with the gradient of a batch.
        paths: paths of the model's weights, which a layer decay needs.
    """
    given, quantize = recipe.optimizer, recipe.quantize
    kind, range_kind, layer_kind = OPTIMIZERS[given.name]
    accumulate = recipe.training.accumulate
    total_steps = max(1, total_steps // accumulate)
    arguments = {
        "learning_rate": WarmupSchedule(
            given.schedule, given.learning_rate, round(given.warmup * total_steps), total_steps
        ),
        "global_clipnorm": given.clip_norm or None,
    }
    if accumulate > 1:
        arguments["gradient_accumulation_steps"] = accumulate
    if given.ema:
        # Keras averages after each batch, also where that did not change the weights.
        arguments |= {"use_ema": True, "ema_momentum": given.ema ** (1 / accumulate)}
    if given.layer_decay < 1:
        kind, arguments["rates"] = layer_kind, layer_rates(paths, given.layer_decay)
    elif quantize is not None and quantize.ranges == "learned":
        kind, arguments["moving_steps"] = range_kind, quantize.moving_steps(total_steps)
    if given.name == "adam":
        return kind(beta_2=given.beta_2, **arguments)
    if given.name == "adamw":
        return kind(weight_decay=given.weight_decay, beta_2=given.beta_2, **arguments)
    momentum = 0.9 if given.name == "momentum" else 0.0
    return kind(momentum=momentum, **arguments)


def regularize(model: keras.Model, l1: float, l2: float) -> None:
    """Adds L1 and L2 penalties of every kernel to the model's loss."""
    if not l1 and not l2:
        return
    for layer in all_layers(model):
        if isinstance(layer, KernelLayer):
            layer.kernel.regularizer = keras.regularizers.L1L2(l1, l2)
