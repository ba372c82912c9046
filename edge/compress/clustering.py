"""Weight clustering: each kernel gets few distinct values, so that the file compresses well.

Han et al. 2016, arXiv:1510.00149, section 3. The assignment of weights to values is the core of
tensorflow-model-optimization; its Keras wrapper needs Keras 2.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

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
        # Importing tfmot takes seconds and changes which Keras `tensorflow` exposes.
        from tensorflow_model_optimization.python.core.clustering.keras import clustering_algorithm

        self.companions: list[keras.Variable] = []
        parts = []
        for variable in prunable(model):
            value = keras.ops.convert_to_numpy(variable.value)
            is_kept = value != 0
            count = clusters if is_kept.all() else clusters - 1
            centroids = _variable("centroids", k_means(value[is_kept], count))
            # The full-precision weights minus the clustered ones.
            excess = _variable("excess", np.zeros_like(value))
            self.companions += [centroids, excess]
            algorithm = clustering_algorithm.ClusteringAlgorithm(centroids.value)
            mask = tf.constant(is_kept, value.dtype)
            parts.append((variable.value, mask, excess.value, algorithm))

        @tf.function(autograph=False)
        def apply():
            for part in parts:
                _cluster(*part)

        self._apply = apply
        self._apply()

    def __call__(self, step: int) -> None:
        """Clusters the weights after a step."""
        self._apply()


def _variable(name, value):
    """A variable whose name is the same in each run, so that a saved state can find it."""
    return keras.Variable(value, trainable=False, name=name)


def _cluster(weight, mask, excess, algorithm):
    full = weight + excess
    values = tf.reshape(full, [-1])
    sizes = [min(_CHUNK, values.shape[0] - at) for at in range(0, values.shape[0], _CHUNK)]
    indices = tf.concat(
        [algorithm.get_pulling_indices(part) for part in tf.split(values, sizes)], axis=0
    )
    centroids, counted = algorithm.cluster_centroids, tf.reshape(mask, [-1])
    num = centroids.shape[0]
    counts = tf.math.unsorted_segment_sum(counted, indices, num)
    sums = tf.math.unsorted_segment_sum(values * counted, indices, num)
    centroids.assign(tf.where(counts > 0, sums / tf.maximum(counts, 1.0), centroids))
    clustered = tf.gather(centroids, tf.reshape(indices, tf.shape(weight))) * mask
    weight.assign(clustered)
    excess.assign((full - clustered) * mask)


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
        values, groups = np.unique(
            keras.ops.convert_to_numpy(variable.value), return_inverse=True
        )
        groups = np.reshape(groups, variable.shape).astype("int32")
        shares = (values != 0) / np.bincount(groups.ravel())
        parts.append((variable.value, tf.constant(groups), shares.astype("float32")))

    @tf.function(autograph=False)
    def apply():
        for weight, groups, shares in parts:
            means = tf.math.unsorted_segment_sum(weight, groups, len(shares)) * shares
            weight.assign(tf.gather(means, groups))

    return lambda step: apply()


def most_values(model: keras.Model) -> int:
    """Returns the largest number of distinct values in any kernel or table."""
    return max(
        len(np.unique(keras.ops.convert_to_numpy(variable.value))) for variable in prunable(model)
    )
