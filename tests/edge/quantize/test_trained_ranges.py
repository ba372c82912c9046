"""Moving averages and learned ranges in keras.ops against tfmot's and TensorFlow's op."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transformer.edge.quantize import by_tfmot, trained_ranges
from keras_transformer.edge.quantize.trained_ranges import Counted, track_ranges
from keras_transformer.fake_quant import fake_quant, fake_quant_gradients
from tests.edge.models import one_point, range_of


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("frozen_after", [None, 6])
def test_the_average_is_tfmots(symmetric, frozen_after):
    """Over batches that widen and narrow the range, in training and beside it."""
    rng = np.random.default_rng(0)
    points = [one_point(-1.0, 1.5, symmetric=symmetric)[1] for _ in range(2)]
    for step in range(10):
        x = tf.constant(rng.normal(0.3, rng.uniform(0.2, 3), (30, 50)).astype("float32"))
        decay = trained_ranges.RANGE_DECAY
        if frozen_after is not None:
            decay = tf.where(step < frozen_after, decay, 1.0)
        for training in (True, False):
            outputs = [
                average(point, x, training, decay)
                for average, point in zip(
                    (by_tfmot.averaged, trained_ranges._averaged), points, strict=True
                )
            ]
            ranges = [range_of(point) for point in points]
            np.testing.assert_allclose(*ranges, rtol=1e-6)
            # Where a range differs in its last digit, so do the steps.
            np.testing.assert_allclose(*outputs, rtol=1e-5)


@pytest.mark.parametrize("symmetric", [False, True])
def test_learned_ranges_have_the_same_gradients(symmetric):
    rng = np.random.default_rng(0)
    x, upstream = rng.normal(0, 2, (2, 30, 50)).astype("float32")
    low, high = np.float32(-2.0), np.float32(1.5 if not symmetric else 2.0 * 127 / 128)
    found = []
    for forward, backward in (
        (by_tfmot.forward, by_tfmot.backward), (fake_quant, fake_quant_gradients)
    ):  # fmt: skip
        given = [tf.constant(one) for one in (x, low, high)]
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = trained_ranges._rounded(
                *given, bits=8, symmetric=symmetric, forward=forward, backward=backward
            )
        found.append([outputs, *tape.gradient(outputs, given, output_gradients=upstream)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_steps_are_counted_once_each():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(8, 50)).astype("float32")
    kernels = []
    for counted in (False, True):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((50,)), keras.layers.Dense(3)])
        learner = Counted(model) if counted else model
        learner.compile(optimizer="sgd", loss="mse")
        losses = [float(learner.train_on_batch(x, x[:, :3])) for _ in range(4)]
        learner.predict_on_batch(x)
        kernels.append([losses, *(np.asarray(one) for one in model.get_weights())])
    assert int(learner.steps) == 4
    for one, other in zip(*kernels, strict=True):
        np.testing.assert_array_equal(one, other)


def test_tensorflow_reads_its_optimizers_count():
    model, _ = one_point(-1.0, 1.0)
    assert track_ranges(model, 3) is model
