"""The cores of tensorflow-model-optimization that prune and cluster on TensorFlow.

Importing it takes seconds and changes which Keras `tensorflow` exposes.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf
from tensorflow_model_optimization.python.core.clustering.keras.clustering_algorithm import (
    ClusteringAlgorithm,
)
from tensorflow_model_optimization.python.core.sparsity.keras.pruning_impl import Pruning
from tensorflow_model_optimization.python.core.sparsity.keras.pruning_schedule import (
    PolynomialDecay,
)


def compiled(function: Callable) -> Callable:
    """Returns the function as a graph."""
    return tf.function(function, autograph=False)


class Masks:
    """Masks of weights by tfmot's pruning; see `masks.Masks`."""

    def __init__(
        self, variables: Sequence[keras.Variable], sparsity: float, block: tuple[int, int],
        m_of_n: tuple[int, int] | None, end_step: int, frequency: int,
    ):  # fmt: skip
        schedule = PolynomialDecay(0.0, sparsity, 0, end_step, frequency=frequency)
        self._step = tf.Variable(0, dtype=tf.int32)
        weights = [variable.value for variable in variables]
        self._masked = [(weight, tf.Variable(tf.ones_like(weight))) for weight in weights]
        core = Pruning(
            lambda: self._step, [(*pair, tf.Variable(0.0)) for pair in self._masked], schedule,
            block, "AVG", m_of_n,
        )  # fmt: skip

        def apply():
            core.conditional_mask_update()
            for weight, mask in self._masked:
                weight.assign(weight * mask)

        self._apply = compiled(apply)

    def take(self) -> None:
        """Sets the masks to the current zeros of the weights."""
        for weight, mask in self._masked:
            mask.assign(tf.cast(weight != 0, weight.dtype))

    def apply(self, step: int) -> None:
        """Follows the schedule at a step, and multiplies the weights by the masks."""
        self._step.assign(step)
        self._apply()


def nearest(centroids: keras.Variable) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from values (N,) to the indices (N,) of the nearest centroids (K,)."""
    return ClusteringAlgorithm(centroids.value).get_pulling_indices
