import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_transformer.edge.qat import (
    CALIBRATION_BATCHES,
    RANGE_DECAY,
    calibrate,
    calibration_batches,
    grid_weights,
    learned_points,
    qat_recipe,
    quantize,
    quantized_model,
    track_ranges,
)
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluate import evaluate
from keras_transformer.zoo.models import build, get_weights
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.trained import Trained
from tests.edge.models import calibration, random_model


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


def test_the_best_weights_include_their_ranges(runs):
    loaded = Trained.load(runs.folder / "int8")
    kept, ours = get_weights(loaded.model), get_weights(runs.quantized.model)
    assert kept.keys() == ours.keys()
    assert sum(path.endswith("/range_min") for path in kept) == len(learned_points(loaded.model))
    for path, value in ours.items():
        np.testing.assert_array_equal(kept[path], value)
    measured = evaluate(loaded, runs.examples)
    assert measured["accuracy"] == loaded.metrics["validation"]["accuracy"] > 0.9
    assert loaded.metrics["float"] == runs.trained.metrics["validation"]
    assert loaded.bits == {"kernel_bits": 8, "activation_bits": 8}


def test_kernels_and_tables_are_written_on_their_grid(runs):
    weights, on_grid = get_weights(runs.quantized.model), grid_weights(runs.quantized.model)
    changed = [path for path in weights if not np.array_equal(weights[path], on_grid[path])]
    assert changed
    table = runs.quantized.model.get_layer("token_embedding")
    assert {path for path in changed if not path.endswith("/kernel")} == {table.embeddings.path}
    low, high = range_of(table.point)
    steps = on_grid[table.embeddings.path] / ((high - low) / 255)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    clipped = np.clip(weights[table.embeddings.path], low, high)
    np.testing.assert_allclose(on_grid[table.embeddings.path], clipped, atol=(high - low) / 509)
    for path in (path for path in weights if path.endswith("/kernel")):
        scale = np.abs(weights[path]).max(axis=0) / 127
        steps = on_grid[path] / scale
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
        np.testing.assert_allclose(on_grid[path], weights[path], atol=scale.max() / 1.99)


def test_a_quantized_checkpoint_is_not_quantized_again(runs, tmp_path):
    with pytest.raises(InputError) as caught:
        quantize(runs.quantized, tmp_path / "twice")
    assert str(caught.value) == "Expected a float checkpoint to quantize, got a quantized one."
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_kept(runs):
    with pytest.raises(FileExistsError, match="exists; choose another path or give --overwrite"):
        quantize(runs.trained, runs.folder / "int8")


def test_the_recipe_trains_on_briefly_and_in_float32():
    recipe = Recipe(
        model="bert_tiny", train="a.tsv", validation="b.tsv", epochs=20, learning_rate=1e-3,
        dtype="mixed_bfloat16", ema=0.99, token_dropout=0.1,
    )  # fmt: skip
    changed = qat_recipe(recipe, {"learning_rate": 3e-5})
    assert (changed.epochs, changed.learning_rate, changed.dtype) == (4, 3e-5, "float32")
    assert (changed.ema, changed.token_dropout, changed.train) == (0.0, 0.1, "a.tsv")


def test_calibration_alone_is_kept_where_training_spoils_it(runs, tmp_path):
    spoiled = quantize(runs.trained, tmp_path / "int8", epochs=1, learning_rate=50.0)
    kept = get_weights(spoiled.model)
    for path, value in get_weights(runs.trained.model).items():
        # Biases end on the grid of the file's integers, a thousandth of an output step away.
        tolerance = 1e-4 if path.endswith("/bias") else 0.0
        np.testing.assert_allclose(kept[path], value, rtol=0, atol=tolerance)


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
