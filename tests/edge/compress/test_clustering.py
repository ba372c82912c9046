import keras
import numpy as np

from keras_transformer.edge.compress.clustering import (
    Clusterer,
    k_means,
    keep_clusters,
    most_values,
)
from keras_transformer.edge.compress.magnitude import prunable
from keras_transformer.quantization import Projection


def model_of(values):
    model = keras.Sequential([keras.Input(values.shape[:1]), Projection(values.shape[1])])
    [kernel] = prunable(model)
    kernel.assign(values)
    return model, kernel


def nearest(values, centres):
    return np.abs(values[..., None] - centres).argmin(axis=-1)


def test_k_means_ends_where_each_centre_is_the_mean_of_its_values():
    values = np.random.default_rng(0).normal(size=400)
    centres = k_means(values, 4).astype("float64")
    means = [values[nearest(values, centres) == i].mean() for i in range(4)]
    # Lloyd's algorithm stops after a number of steps, near to the end.
    np.testing.assert_allclose(centres, means, atol=0.02)
    np.testing.assert_array_equal(k_means(np.array([1.0, 1.0, 5.0]), 2), [1, 5])


def test_steps_move_weights_of_full_precision():
    rng = np.random.default_rng(0)
    full = rng.normal(size=(24, 16)).astype("float32")
    full[rng.random(full.shape) < 0.3] = 0
    model, kernel = model_of(full)
    clusterer = Clusterer(model, 5)
    [centroids, excess] = clusterer.companions
    for step in range(1, 6):
        before = np.asarray(kernel.value)
        assert most_values(model) == 5
        np.testing.assert_array_equal(before == 0, full == 0)
        np.testing.assert_allclose(before + np.asarray(excess.value), full, atol=1e-6)
        # What an optimizer adds to the clustered weights is added to those of full precision.
        update = rng.normal(size=full.shape).astype("float32") * 0.2
        kernel.assign(before + update)
        centres = np.asarray(centroids.value)
        clusterer(step)
        full = np.where(full == 0, 0, full + update)
        chosen = nearest(full, centres)
        expected = [full[(chosen == i) & (full != 0)].mean() for i in range(4)]
        np.testing.assert_allclose(centroids.value, expected, atol=1e-5)
        np.testing.assert_allclose(
            kernel.value, np.where(full == 0, 0, np.take(expected, chosen)), atol=1e-5
        )


def test_equal_weights_stay_equal():
    groups = np.random.default_rng(0).integers(0, 4, (8, 6))
    model, kernel = model_of(np.array([-1.0, 0.0, 0.5, 2.0], "float32")[groups])
    keep = keep_clusters(model)
    moved = np.random.default_rng(1).normal(size=(8, 6)).astype("float32")
    kernel.assign(moved)
    keep(1)
    means = [moved[groups == i].mean() for i in range(4)]
    means[1] = 0
    np.testing.assert_allclose(kernel.value, np.take(means, groups), rtol=1e-5, atol=1e-7)
