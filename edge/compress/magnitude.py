"""Magnitude pruning: small weights become zero on a schedule while the others keep training.

Zhu and Gupta 2017, arXiv:1710.01878. On TensorFlow the masks and the schedule are the core of
tensorflow-model-optimization, whose Keras wrappers need Keras 2; `masks` is the same elsewhere.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

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
    values = [ops.convert_to_numpy(variable.value) for variable in prunable(model)]
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
        if keras.config.backend() == "tensorflow":
            from keras_transformer.edge.compress import by_tfmot as masks
        else:
            from keras_transformer.edge.compress import masks

        growth = max(1, int(GROWTH * total_steps))
        frequency = max(1, growth // UPDATES)
        self.end_step = growth // frequency * frequency
        block, m_of_n = PATTERNS[pattern]
        self._masks = masks.Masks(
            prunable(model), sparsity, block, m_of_n, self.end_step, frequency
        )

    def take_masks(self) -> None:
        """Sets the masks to the current zeros of the weights, as a resumed run needs."""
        self._masks.take()

    def __call__(self, step: int) -> None:
        """Follows the schedule at a step, counted from 1."""
        self._masks.apply(step)


def keep_zeros(model: keras.Model) -> Callable[[int], None]:
    """Returns a function that, after a step, resets to zero all weights that are zero now."""
    masked = [
        (one, keras.Variable(ops.cast(ops.not_equal(one.value, 0), "float32"), trainable=False))
        for one in prunable(model)
    ]

    def apply(step: int) -> None:
        for variable, mask in masked:
            variable.assign(variable.value * mask.value)

    return apply
