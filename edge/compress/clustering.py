"""Weight clustering: each kernel gets few distinct values, so that the file compresses well.

Han et al. 2016, arXiv:1510.00149, section 3. On TensorFlow the assignment of weights to values is
the core of tensorflow-model-optimization, whose Keras wrapper needs Keras 2.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.compress.magnitude import prunable

MOST_CLUSTERS = 256
LLOYD_STEPS = 30
# Number of weights assigned at a time, since each is compared with every value at once.
_CHUNK = 2**18


class Clusterer:
    """Clusters the weights of each kernel and token table separately, after each step of a run.

    The optimizer's step from the clustered weights is added to full-precision weights (straight
    through, Bengio et al. 2013, arXiv:1308.3432), which are then reassigned to the nearest value;
    each value becomes the mean of its weights. Zeros stay zero and count as one of the values.

    Args:
        model: model whose weights are clustered immediately.
        clusters: largest number of distinct values of each variable.

    Attributes:
        companions: variables that a resumed run needs in addition to the model's.
    """

    def __init__(self, model: keras.Model, clusters: int):
        on_tensorflow = keras.config.backend() == "tensorflow"
        if on_tensorflow:
            from keras_transformer.edge.compress import by_tfmot

        self.companions: list[keras.Variable] = []
        parts = []
        for variable in prunable(model):
            value = ops.convert_to_numpy(variable.value)
            is_kept = value != 0
            count = clusters if is_kept.all() else clusters - 1
            centroids = _variable("centroids", k_means(value[is_kept], count))
            # The full-precision weights minus the clustered ones.
            excess = _variable("excess", np.zeros_like(value))
            self.companions += [centroids, excess]
            mask = _variable("mask", is_kept.astype(value.dtype))
            nearest = (by_tfmot.nearest if on_tensorflow else _nearest)(centroids)
            parts.append((variable, mask, excess, centroids, nearest))

        def apply():
            for part in parts:
                _cluster(*part)

        self._apply = by_tfmot.compiled(apply) if on_tensorflow else apply
        self._apply()

    def __call__(self, step: int) -> None:
        """Clusters the weights after a step."""
        self._apply()


def _variable(name, value):
    """A variable whose name is the same in each run, so that a saved state can find it."""
    return keras.Variable(value, trainable=False, name=name)


def _cluster(weight, mask, excess, centroids, nearest):
    full = weight.value + excess.value
    values, counted = ops.reshape(full, (-1,)), ops.reshape(mask.value, (-1,))
    size, num = values.shape[0], centroids.shape[0]
    parts = [values[at : at + _CHUNK] for at in range(0, size, _CHUNK)]
    indices = ops.concatenate([nearest(part) for part in parts])
    counts = ops.segment_sum(counted, indices, num)
    sums = ops.segment_sum(values * counted, indices, num)
    means = ops.where(counts > 0, sums / ops.maximum(counts, 1.0), centroids.value)
    centroids.assign(means)
    clustered = ops.reshape(ops.take(means, indices), weight.shape) * mask.value
    weight.assign(clustered)
    excess.assign((full - clustered) * mask.value)


def _nearest(centroids):
    """Function from values (N,) to the indices (N,) of the nearest of ascending centroids (K,)."""

    def nearest(values):
        ascending = centroids.value
        return ops.searchsorted((ascending[1:] + ascending[:-1]) / 2, values)

    return nearest


def k_means(values: np.ndarray, clusters: int) -> np.ndarray:
    """Returns ascending centres (clusters,) of one-dimensional values, by Lloyd's algorithm.

    The initial centres are quantiles. A centre without values stays where it is.
    """
    values = values.astype("float64").ravel()
    centres = np.quantile(values, (np.arange(clusters) + 0.5) / clusters)
    for _ in range(LLOYD_STEPS):
        nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
        counts = np.bincount(nearest, minlength=clusters)
        sums = np.bincount(nearest, values, minlength=clusters)
        centres = np.where(counts > 0, sums / np.maximum(counts, 1), centres)
    return centres.astype("float32")


def keep_clusters(model: keras.Model) -> Callable[[int], None]:
    """Returns a function that restores, after a step, the equality of weights that are equal now.

    Each weight becomes the mean of its group; zeros stay zero.
    """
    parts = []
    for variable in prunable(model):
        values, groups = np.unique(ops.convert_to_numpy(variable.value), return_inverse=True)
        groups = groups.ravel().astype("int32")
        shares = (values != 0) / np.bincount(groups)
        parts.append((variable, _variable("groups", groups), shares.astype("float32")))

    def apply(step: int) -> None:
        for variable, groups, shares in parts:
            flat = ops.reshape(variable.value, (-1,))
            means = ops.segment_sum(flat, groups.value, len(shares)) * shares
            variable.assign(ops.reshape(ops.take(means, groups.value), variable.shape))

    return apply


def most_values(model: keras.Model) -> int:
    """Returns the largest number of distinct values in any kernel or table."""
    return max(
        len(np.unique(ops.convert_to_numpy(variable.value))) for variable in prunable(model)
    )
