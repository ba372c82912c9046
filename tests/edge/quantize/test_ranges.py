import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.quantize.ranges import (
    CALIBRATION_BATCHES,
    SAMPLE,
    calibrate,
    calibration_batches,
    learned_points,
)
from keras_transformer.edge.quantize.trained_ranges import RANGE_DECAY, learn_ranges, track_ranges
from keras_transformer.normalization import make_norm
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build
from tests.edge.models import calibration, one_point, random_model, range_of


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bounds", [(-1.0, 3.0), (0.0, 0.7), (-2.5, 0.0), (-6.0, 6.0)])
def test_tfmots_rounding_equals_keras(bounds, symmetric):
    model, _ = one_point(*bounds, symmetric=symmetric)
    x = np.random.default_rng(0).uniform(-4, 4, (200, 50)).astype("float32")
    by_keras = np.asarray(model(x))
    track_ranges(model)
    np.testing.assert_array_equal(np.asarray(model(x, training=False)), by_keras)
    assert len(np.unique(by_keras)) <= 256


def test_training_moves_a_range_by_tfmots_average():
    model, point = one_point(-1.0, 2.0)
    track_ranges(model)
    x = np.linspace(-3, 4, 50, dtype="float32")[None]
    model(x, training=True)
    share = 1 - RANGE_DECAY
    expected = (-1.0 - 2.0 * share, 2.0 + 2.0 * share)
    np.testing.assert_allclose(range_of(point), expected, rtol=1e-6)
    model(x, training=False)
    np.testing.assert_allclose(range_of(point), expected, rtol=1e-6)


def test_a_symmetric_range_stays_symmetric_in_training():
    model, point = one_point(-1.0, 1.0, symmetric=True)
    track_ranges(model)
    for _ in range(20):
        model(np.linspace(-1, 5, 50, dtype="float32")[None], training=True)
    low, high = range_of(point)
    assert high > 1.5
    assert low == pytest.approx(-high * 128 / 127, rel=1e-5)


def test_calibration_of_all_values_sets_the_smallest_and_largest_seen():
    trained = random_model()
    batches = calibration()
    model = quantized_model(trained, batches, percentile=100)
    assert all(point.tracker is None for point in learned_points(model))
    # What the last point sees while the others let values pass.
    for point in learned_points(model):
        point.tracker = lambda point, inputs, training: inputs
    seen = [b for b, _ in zip(batches.epoch(0), range(CALIBRATION_BATCHES), strict=False)]
    logits = np.concatenate([np.asarray(model(batch.inputs)) for batch in seen])
    expected = (min(logits.min(), 0.0), max(logits.max(), 0.0))
    np.testing.assert_allclose(range_of(model.get_layer("head_point")), expected, rtol=1e-5)


@pytest.mark.parametrize("train", [track_ranges, learn_ranges])
@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm"])
def test_a_row_whose_mean_square_is_stored_as_0_moves_no_range(norm, train):
    keras.utils.set_random_seed(0)
    layer = make_norm(norm, epsilon=1e-6, bits={"inner_bits": 8}, name="norm")
    model = keras.Sequential([keras.Input((16,)), layer])
    x = np.random.default_rng(0).normal(0, 3, (40, 16)).astype("float32")
    for point in learned_points(model):
        point.set_range(-9.0, 9.0)
    layer.points["mean_square"].set_range(0.0, 9.0)
    layer.points["inverse"].set_range(0.0, 4.0)
    # A step of the mean square is 9 / 255: the last rows are stored as 0.
    x[-10:] *= 1e-3
    expected = np.asarray(model(x, training=False))
    assert np.isfinite(expected).all()
    train(model)
    with tf.GradientTape() as tape:
        outputs = model(x, training=True)
        loss = tf.reduce_sum(tf.square(outputs))
    for gradient in tape.gradient(loss, [one.value for one in model.trainable_variables]):
        assert gradient is None or np.isfinite(gradient.numpy()).all()
    low, high = range_of(layer.points["inverse"])
    assert (low, high) == pytest.approx((0.0, 4.0), abs=0.1)


def test_calibration_reaches_every_point():
    trained = random_model()
    model = build(trained.config, trained.task, bits={"kernel_bits": 8, "activation_bits": 8})
    points = learned_points(model)
    initial = range_of(points[0])
    calibrate(model, calibration())
    assert len(points) > 10
    assert [point.path for point in points if range_of(point) == initial] == []


def test_ranges_start_from_calibration_and_are_moved_in_training(runs):
    before = quantized_model(runs.trained, calibration_of(runs))
    first = {p.path: range_of(p) for p in learned_points(before)}
    last = {p.path: range_of(p) for p in learned_points(runs.quantized.model)}
    assert first.keys() == last.keys()
    assert all(first[path] != last[path] for path in first)
    widths = [
        (high - low) / (first[path][1] - first[path][0]) for path, (low, high) in last.items()
    ]
    # A range that had started from tfmot's +-6 would be many times too wide or too narrow.
    assert 0.3 < min(widths) <= max(widths) < 3.0


def calibration_of(runs):
    return calibration_batches(runs.trained, runs.trained.recipe.data.train)


def test_calibration_reads_no_validation_data(runs):
    recipe = runs.trained.recipe.replace(validation="there is no such file")
    trained = dataclasses.replace(runs.trained, recipe=recipe)
    batches = calibration_batches(trained, recipe.data.train)
    first = Path(recipe.data.train).read_text().split("\n")[1]
    expected = runs.trained.modality.encode(first.split("\t")[:1])
    rows = [row for batch in batches.in_order() for row in np.asarray(batch.inputs["ids"])]
    assert len(rows) == 300
    assert any(np.array_equal(np.trim_zeros(row), expected.columns["ids"][0]) for row in rows)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["text\tlabel"], "{}: the file has a header but no rows."),
        (["name\tlabel", "a\tfood"],
         "{}: there is no column 'text'; the columns are 'name', 'label'."),
        (["text\tlabel", *["a\tfood"] * 40, "a\tsport"],
         "{}, line 42: unknown label 'sport'; the known labels are 'food', 'music', 'weather'."),
        (["text", *["a"] * 31],
         "{}: expected at least 32 rows to calibrate on, got 31; give the training data or a part "
         "of it."),
        (["text\tlabel", *["bread soup\tfood", "bread  soup\tmusic"] * 20],
         "{}: expected rows that differ to calibrate on, got 40 that are the same for the model; "
         "give the training data or a part of it."),
    ],
)  # fmt: skip
def test_calibration_data_that_does_not_fit(runs, tmp_path, lines, sentence):
    path = tmp_path / "rows.tsv"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InputError) as caught:
        calibration_batches(runs.trained, path)
    assert str(caught.value) == sentence.format(path)


def test_labels_may_be_missing_in_calibration_data(runs, tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("text\n" + "bread soup\nsoup\n" * 16)
    batches = calibration_batches(runs.trained, path)
    assert sum(len(batch.index) for batch in batches.in_order()) == 32


def test_gradients_pass_the_rounding():
    model, _ = one_point(-1.0, 1.0)
    track_ranges(model)
    x = np.linspace(-2, 2, 50, dtype="float32")[None]
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = ops.sum(model(inputs, training=True))
    gradient = np.asarray(tape.gradient(total, inputs))
    np.testing.assert_array_equal(gradient[np.abs(x) < 0.99], 1.0)
    np.testing.assert_array_equal(gradient[np.abs(x) > 1.1], 0.0)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Arrays in place of batches of tokens."""

    arrays: list

    def epoch(self, number):
        return (dataclasses.replace(self, arrays=[one]) for one in self.arrays)

    @property
    def inputs(self):
        return self.arrays[0]


@pytest.mark.parametrize("percentile", [99.0, 80.0, 100.0])
@pytest.mark.parametrize("symmetric", [False, True])
def test_percentiles_of_all_values(percentile, symmetric):
    model, point = one_point(-1.0, 1.0, symmetric=symmetric)
    x = np.random.default_rng(0).normal(0.3, 2.0, (4, 60, 50)).astype("float32")
    calibrate(model, Inputs(list(x)), percentile=percentile)
    low, high = np.percentile(x, ((100 - percentile) / 2, 100 - (100 - percentile) / 2))
    if symmetric:
        high = max(high, -low * 127 / 128)
        low = -high * 128 / 127
    np.testing.assert_allclose(range_of(point), (low, high), rtol=1e-6)


def test_percentiles_of_many_values_come_from_a_sample():
    model, point = one_point(-1.0, 1.0)
    x = np.random.default_rng(0).uniform(-1, 1, (4, SAMPLE // 10, 50)).astype("float32")
    x[:, 0, 0], x[:, 0, 1] = 90.0, -70.0
    calibrate(model, Inputs(list(x)), percentile=99.0)
    # The edges of a uniform distribution: 65,536 drawn values leave 0.0004 of uncertainty.
    np.testing.assert_allclose(range_of(point), (-0.99, 0.99), atol=0.002)
    calibrate(model, Inputs(list(x)), percentile=100.0)
    assert range_of(point) == (-70.0, 90.0)


def test_the_default_has_the_least_squared_error():
    model, point = one_point(-1.0, 1.0)
    # The best bounds of so many values of Laplace's distribution are 9.9 for 8 bits (Banner et al.
    # 2019, arXiv:1810.05723, table 1), the largest of them are 13.5 and 11.9.
    x = np.random.default_rng(0).laplace(0.0, 1.0, (4, 1000, 50)).astype("float32")

    def error():
        return float(np.square(np.asarray(model(x.reshape(-1, 50))) - x.reshape(-1, 50)).sum())

    calibrate(model, Inputs(list(x)), percentile=100.0)
    widest = error()
    calibrate(model, Inputs(list(x)))
    np.testing.assert_allclose(range_of(point), (-9.9, 9.9), atol=1.0)
    assert error() < widest


@pytest.mark.parametrize("percentile", [50.0, 100.5, float("nan")])
def test_a_percentile_out_of_range(percentile):
    with pytest.raises(InputError) as caught:
        calibrate(one_point(-1.0, 1.0)[0], calibration(), percentile=percentile)
    assert str(caught.value) == (
        f"Expected percentile to be above 50 and at most 100, got percentile={percentile}."
    )
