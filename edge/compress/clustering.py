"""Weight clustering: each kernel has few distinct values, which a compressed file stores cheaply.

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
# The assignment compares each weight with each value at once; so many weights at a time.
_CHUNK = 2**18


class Clusterer:
    """Clusters weights after each step of a run, each kernel and table of tokens by itself.

    The step that the optimizer takes from the clustered weights is added to weights of full
    precision (straight through, Bengio et al. 2013, arXiv:1308.3432), which are assigned to the
    nearest value anew; each value becomes the mean of its weights. What is zero stays zero and is
    one of the values.

    Args:
        model: whose weights are clustered at once.
        clusters: distinct values of each variable, at most.

    Attributes:
        companions: the variables that a resumed run needs beside the model's.
    """

    def __init__(self, model: keras.Model, clusters: int):
        # Importing tfmot takes seconds and changes what `tensorflow` offers as Keras.
        from tensorflow_model_optimization.python.core.clustering.keras import clustering_algorithm

        self.companions: list[keras.Variable] = []
        parts = []
        for variable in prunable(model):
            value = keras.ops.convert_to_numpy(variable.value)
            is_kept = value != 0
            count = clusters if is_kept.all() else clusters - 1
            centroids = _variable("centroids", k_means(value[is_kept], count))
            # What full precision has more than the clustered weights.
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
    """A variable that has the same name in each run, by which a state finds it."""
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

    It starts at quantiles. A centre that no value is nearest to stays where it is.
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
    """Returns what makes equal again, after a step, all weights of a variable that are equal now.

    Each becomes the mean of those that it is equal to; zeros stay zero.
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
    """Returns the number of distinct values in the kernel or table that has most of them."""
    return max(
        len(np.unique(keras.ops.convert_to_numpy(variable.value))) for variable in prunable(model)
    )
