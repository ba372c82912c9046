import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_transformer.edge.qat import quantize, quantized_model
from keras_transformer.edge.ranges import (
    CALIBRATION_BATCHES,
    RANGE_DECAY,
    SAMPLE,
    calibrate,
    calibration_batches,
    learn_ranges,
    learned_points,
    track_ranges,
    train_ranges,
)
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import build, get_weights
from keras_transformer.zoo.optimizers import make_optimizer
from keras_transformer.zoo.recipe import Recipe
from tests.edge.models import calibration, random_model
from tests.zoo import tiny


def one_point(minimum, maximum, **arguments):
    """A model of one point with a range, and the point."""
    model = keras.Sequential([keras.Input((50,)), QuantPoint(8, name="point", **arguments)])
    point = model.get_layer("point")
    point.set_range(minimum, maximum)
    return model, point


def range_of(point):
    return float(point.range_min), float(point.range_max)


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


def test_calibration_sets_the_smallest_and_largest_value_seen():
    trained = random_model()
    batches = calibration()
    model = quantized_model(trained, batches)
    assert all(point.tracker is None for point in learned_points(model))
    # What the last point sees while the others let values pass.
    for point in learned_points(model):
        point.tracker = lambda point, inputs, training: inputs
    seen = [b for b, _ in zip(batches.epoch(0), range(CALIBRATION_BATCHES), strict=False)]
    logits = np.concatenate([np.asarray(model(batch.inputs)) for batch in seen])
    expected = (min(logits.min(), 0.0), max(logits.max(), 0.0))
    np.testing.assert_allclose(range_of(model.get_layer("head_point")), expected, rtol=1e-5)


def test_calibration_reaches_every_point():
    trained = random_model()
    model = build(trained.config, trained.task_spec, kernel_bits=8, activation_bits=8)
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
    return calibration_batches(runs.trained, runs.trained.recipe.train)


def test_calibration_reads_no_validation_data(runs):
    recipe = runs.trained.recipe.replace(validation="there is no such file")
    trained = dataclasses.replace(runs.trained, recipe=recipe)
    batches = calibration_batches(trained, recipe.train)
    expected = runs.trained.encode(Path(recipe.train).read_text().split("\n")[1].split("\t")[:1])
    rows = [row for batch in batches.in_order() for row in np.asarray(batch.inputs["ids"])]
    assert len(rows) == 300
    assert any(np.array_equal(np.trim_zeros(row), expected.ids[0]) for row in rows)


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
    path.write_text("text\n" + "bread soup\n" * 32)
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
    calibrate(model, Inputs(list(x)))
    assert range_of(point) == (-70.0, 90.0)


@pytest.mark.parametrize("percentile", [50.0, 100.5, float("nan")])
def test_a_percentile_out_of_range(percentile):
    with pytest.raises(InputError) as caught:
        calibrate(one_point(-1.0, 1.0)[0], calibration(), percentile=percentile)
    assert str(caught.value) == (
        f"Expected percentile to be above 50 and at most 100, got percentile={percentile}."
    )


def gradients(bounds, x, upstream, **arguments):
    """Of a learned point: for inputs, minimum and maximum."""
    model, point = one_point(*bounds, **arguments)
    learn_ranges(model)
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = ops.sum(model(inputs, training=True) * upstream)
    sources = [inputs, point.range_min.value, point.range_max.value]
    return [np.asarray(one, "float64") for one in tape.gradient(total, sources)]


def test_gradients_of_both_bounds_are_those_of_lsq():
    """With the scale s and the zero point z, x is s * (clip(round(x / s + z), 0, 255) - z)."""
    rng = np.random.default_rng(0)
    x, upstream = rng.normal(0, 2, (2, 30, 50)).astype("float32")
    low, high = -51 * 0.02, 204 * 0.02
    to_x, to_low, to_high = gradients((low, high), x, upstream)
    place = x.astype("float64") / 0.02
    inside = (place > -51) & (place < 204)
    error = np.where(inside, np.round(place) - place, 0.0)
    np.testing.assert_array_equal(to_x, np.where(inside, upstream, 0.0))
    # The scale is (high - low) / 255; a value that is clipped is the bound itself. Sums of 1500
    # float32 values keep about four digits of the terms.
    of_high = (upstream * (error / 255 + (place >= 204))).sum()
    of_low = (upstream * (-error / 255 + (place <= -51))).sum()
    np.testing.assert_allclose((to_low, to_high), (of_low, of_high), rtol=1e-4)


def test_the_bounds_of_a_symmetric_range_have_one_gradient():
    rng = np.random.default_rng(0)
    x, upstream = rng.normal(0, 2, (2, 30, 50)).astype("float32")
    scale = 2.0 / 127
    _, to_low, to_high = gradients((-2.0, 2.0), x, upstream, symmetric=True)
    place = x.astype("float64") / scale
    of_scale = np.where(place > 127, 127, np.where(place < -128, -128, np.round(place) - place))
    expected = (upstream * of_scale).sum() * scale
    np.testing.assert_allclose(to_high * 127 * scale, expected, rtol=1e-4)
    np.testing.assert_allclose(to_low * -128 * scale, expected, rtol=1e-4)


def test_learning_finds_the_best_range():
    """Of 4 bits for normal values: outliers are clipped for the sake of the many."""
    x = np.random.default_rng(0).normal(0, 1, (40, 50)).astype("float32")

    def error(largest):
        step = largest / 7
        return np.mean((np.clip(np.round(x / step), -8, 7) * step - x) ** 2)

    best = min(error(largest) for largest in np.linspace(0.5, 6, 200))
    model = keras.Sequential([keras.Input((50,)), QuantPoint(4, symmetric=True, name="point")])
    point = model.get_layer("point")
    point.set_range(-6.0, 6.0)
    assert error(6.0) > 3 * best
    recipe = recipe_of("learned", learning_rate=2e-3)
    train_ranges(model, recipe, 120)
    model.compile(optimizer=make_optimizer(recipe, 120), loss="mse")
    for _ in range(120):
        model.train_on_batch(x, x)
    assert error(range_of(point)[1]) < 1.02 * best


def recipe_of(ranges, **changes):
    return Recipe(
        model="bert_tiny", train="a.tsv", validation="b.tsv", ranges=ranges, schedule="constant",
        clip_norm=0.0, **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ranges", "optimizer", "rate"),
    [
        ("moving-average", "adam", 1e-2), ("learned", "adam", 1e-2), ("learned", "adam", 1e3),
        ("learned", "adamw", 1e-2), ("learned", "momentum", 1e-2),
    ],
)  # fmt: skip
def test_ranges_keep_their_form_and_freeze_to_the_bit(ranges, optimizer, rate):
    points = [QuantPoint(8, name="any"), QuantPoint(8, symmetric=True, name="symmetric")]
    points.append(QuantPoint(8, name="relu"))
    layers = [points[0], keras.layers.Dense(20, name="dense"), points[1], keras.layers.ReLU()]
    model = keras.Sequential([keras.Input((50,)), *layers, points[2]])
    for point in points:
        point.set_range(-1.0, 2.0)
    points[2].set_range(0.0, 2.0)
    decay = {"weight_decay": 0.1} if optimizer == "adamw" else {}
    recipe = recipe_of(
        ranges, learning_rate=rate, optimizer=optimizer, freeze_ranges=0.6, **decay
    )
    train_ranges(model, recipe, 10)
    model.compile(optimizer=make_optimizer(recipe, 10), loss="mse")
    rng = np.random.default_rng(0)
    seen, kernels = [], []
    for _ in range(10):
        x = rng.normal(0, 1, (30, 50)).astype("float32")
        model.train_on_batch(x, x[:, :20])
        seen.append([bound for point in points for bound in range_of(point)])
        kernels.append(np.asarray(model.get_layer("dense").kernel))
    seen = np.array(seen)
    assert np.isfinite(seen).all()
    lows, highs = seen[:, ::2], seen[:, 1::2]
    assert (lows <= 0).all() and (highs > 0).all()
    np.testing.assert_allclose(lows[:, 1], -highs[:, 1] * 128 / 127, rtol=1e-5)
    np.testing.assert_array_equal(lows[:, 2], 0.0)
    moving = [0, 1, 2, 3, 5]
    assert (np.diff(seen[:4, moving], axis=0) != 0).any(axis=0).all()
    np.testing.assert_array_equal(seen[4:], np.broadcast_to(seen[3], (6, 6)))
    if rate < 1:
        assert all((one != other).any() for one, other in zip(kernels, kernels[1:], strict=False))


def test_a_run_is_resumed_to_the_bit(runs, tmp_path):
    options = {"epochs": 1, "save_every": 4, "ranges": "learned", "freeze_ranges": 0.5, "seed": 3}
    whole = quantize(runs.trained, tmp_path / "whole", report=(heard := tiny.Heard()), **options)
    last = int(0.7 * heard.starts[0][1])

    class Stopped(tiny.Heard):
        def step(self, number, loss):
            if number == last:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(runs.trained, tmp_path / "broken", report=Stopped(), **options)
    resumed = quantize(runs.trained, tmp_path / "broken", resume=True, **options)
    tiny.assert_same_weights(get_weights(resumed.model), get_weights(whole.model))
    assert resumed.metrics == whole.metrics
