"""Magnitude pruning: small weights become zero on a schedule while the others keep training.

Zhu and Gupta 2017, arXiv:1710.01878. The masks and the schedule are the core of
tensorflow-model-optimization; its Keras wrappers need Keras 2.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.quantization import Projection
from keras_transformer.zoo.models.build import all_layers

# Pattern -> shape of the blocks that become zero as a whole, and m zeros of n consecutive inputs.
PATTERNS = {"element": ((1, 1), None), "block": ((4, 4), None), "2:4": ((1, 1), (2, 4))}
# Share of the steps in which the sparsity grows; the masks are fixed afterwards.
GROWTH = 0.5
UPDATES = 50


def prunable(model: keras.Model) -> list[keras.Variable]:
    """Returns the variables to prune: the kernels of projections, and token tables."""
    variables = [
        layer.kernel if isinstance(layer, Projection) else layer.embeddings
        for layer in all_layers(model)
        if isinstance(layer, Projection | TokenEmbedding)
    ]
    return list({variable.path: variable for variable in variables}.values())


def sparsity_of(model: keras.Model) -> float:
    """Returns the share of zeros in the prunable variables."""
    values = [keras.ops.convert_to_numpy(variable.value) for variable in prunable(model)]
    return 1 - sum(map(np.count_nonzero, values)) / sum(value.size for value in values)


class Pruner:
    """Sets weights to zero after each step of a run.

    Args:
        model: model to prune, each variable to the same sparsity.
        sparsity: share of zeros at the end.
        pattern: pattern of zeros, see `PATTERNS`; 2:4 is reached at the first step.
        total_steps: number of steps of the run.

    Attributes:
        end_step: the step at which the sparsity is reached.
    """

    def __init__(self, model: keras.Model, sparsity: float, pattern: str, total_steps: int):
        # Importing tfmot takes seconds and changes which Keras `tensorflow` exposes.
        from tensorflow_model_optimization.python.core.sparsity.keras.pruning_impl import Pruning
        from tensorflow_model_optimization.python.core.sparsity.keras.pruning_schedule import (
            PolynomialDecay,
        )

        growth = max(1, int(GROWTH * total_steps))
        frequency = max(1, growth // UPDATES)
        self.end_step = growth // frequency * frequency
        schedule = PolynomialDecay(0.0, sparsity, 0, self.end_step, frequency=frequency)
        block, m_of_n = PATTERNS[pattern]
        self._step = tf.Variable(0, dtype=tf.int32)
        weights = [variable.value for variable in prunable(model)]
        self._masked = [(weight, tf.Variable(tf.ones_like(weight))) for weight in weights]
        core = Pruning(
            lambda: self._step, [(*pair, tf.Variable(0.0)) for pair in self._masked], schedule,
            block, "AVG", m_of_n,
        )  # fmt: skip

        @tf.function(autograph=False)
        def apply():
            core.conditional_mask_update()
            _apply_masks(self._masked)

        self._apply = apply

    def take_masks(self) -> None:
        """Sets the masks to the current zeros of the weights, as a resumed run needs."""
        for weight, mask in self._masked:
            mask.assign(_mask_of(weight))

    def __call__(self, step: int) -> None:
        """Follows the schedule at a step, counted from 1."""
        self._step.assign(step)
        self._apply()


def keep_zeros(model: keras.Model) -> Callable[[int], None]:
    """Returns a function that, after a step, resets to zero all weights that are zero now."""
    masked = [(variable.value, _mask_of(variable.value)) for variable in prunable(model)]
    apply = tf.function(lambda: _apply_masks(masked), autograph=False)
    return lambda step: apply()


def _mask_of(weight: tf.Variable) -> tf.Tensor:
    """Returns 0 where the weight is 0, else 1."""
    return tf.cast(weight != 0, weight.dtype)


def _apply_masks(masked: Sequence[tuple[tf.Variable, tf.Variable | tf.Tensor]]) -> None:
    for weight, mask in masked:
        weight.assign(weight * mask)
