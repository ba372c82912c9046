
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.quantize.trained_ranges import learn_ranges, train_ranges
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.training.optimizers import make_optimizer
from tests.edge.models import one_point, range_of
from tests.slow import mostly_slow
from tests.zoo import tiny


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
    return Recipe.of_task(
        TASKS["classification"], model="bert_tiny", train="a.tsv", validation="b.tsv",
        ranges=ranges, schedule="constant", clip_norm=0.0, **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ranges", "optimizer", "rate"),
    mostly_slow(
        [
            ("moving-average", "adam", 1e-2), ("learned", "adam", 1e-2), ("learned", "adam", 1e3),
            ("learned", "adamw", 1e-2), ("learned", "momentum", 1e-2),
        ],
        [("moving-average", "adam", 1e-2), ("learned", "adam", 1e3)],
    ),
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


@pytest.mark.slow
def test_a_run_is_resumed_to_the_bit(runs, tmp_path):
    options = {
        "epochs": 1, "save_every": 4, "ranges": "learned", "freeze_ranges": 0.5, "seed": 3,
        "share": 0.5,
    }  # fmt: skip
    heard = tiny.Heard()
    whole = quantize(runs.trained, out=tmp_path / "whole", report=heard, **options)
    last = int(0.7 * heard.starts[0][1])

    class Stopped(tiny.Heard):
        def step(self, number, loss):
            if number == last:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(runs.trained, out=tmp_path / "broken", report=Stopped(), **options)
    resumed = quantize(runs.trained, out=tmp_path / "broken", resume=True, **options)
    tiny.assert_same_weights(get_weights(resumed.model), get_weights(whole.model))
    assert resumed.metrics == whole.metrics


def test_learned_ranges_are_saved_with_a_model(tmp_path):
    """Their bounds are among what the optimizer moves, and so is what a loaded one moves."""
    model, _ = one_point(-1.0, 2.0)
    learn_ranges(model)
    optimizer = make_optimizer(recipe_of("learned", optimizer="adamw"), 10)
    model.compile(optimizer=optimizer, loss="mse", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(4, 50)).astype("float32")
    for _ in range(2):
        model.train_on_batch(x, x)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    names = [weight.name for weight in loaded.trainable_variables]
    assert names == [weight.name for weight in model.trainable_variables]
    assert names == ["range_min", "range_max"]
    assert loaded.optimizer.moving_steps == model.optimizer.moving_steps > 0
    for one, other in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (other.value, one.value)))
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (other.value, one.value)))
