"""Dropout: its rate, its scale, its seeds, and where it does nothing."""

import math
import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_transformer import Dropout, Encoder, Residual, StochasticDepth
from keras_transformer.dropout import keep_mask


def dropped(layer, x):
    return ops.convert_to_numpy(layer(x, training=True))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_share_of_zeros_is_the_rate(rate):
    size = 200_000
    zeros = np.sum(dropped(Dropout(rate, seed=1), np.ones((size // 100, 100))) == 0)
    # Five standard deviations of a binomial distribution.
    assert abs(zeros - rate * size) < 5 * math.sqrt(size * rate * (1 - rate))


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_kept_elements_are_scaled_so_that_the_expectation_stays(rate):
    x = np.random.default_rng(0).normal(size=(64, 33)).astype("float32")
    y = dropped(Dropout(rate, seed=2), x)
    rounded = round(rate * 2**16) / 2**16
    np.testing.assert_allclose(y, np.where(y == 0, 0, x / (1 - rounded)), rtol=1e-6)
    mean = np.mean([dropped(Dropout(rate, seed=i), np.ones((100, 100))) for i in range(20)])
    assert abs(mean - 1) < 5 * math.sqrt(rate / (1 - rate) / 200_000)


def test_both_halves_of_a_word_decide_alone():
    keep = ops.convert_to_numpy(keep_mask((2, 100_000), 0.5, seed=3)).reshape(-1, 2)
    share = np.mean(keep, axis=0), np.mean(keep[:, 0] == keep[:, 1]), np.mean(keep[1:] == keep[:-1])
    np.testing.assert_allclose(np.hstack(share), 0.5, atol=5 * 0.5 / math.sqrt(100_000))


def test_seed_decides():
    x = np.ones((8, 7), "float32")
    first, second = Dropout(0.5, seed=4), Dropout(0.5, seed=4)
    once, again = dropped(first, x), dropped(first, x)
    np.testing.assert_array_equal(dropped(second, x), once)
    np.testing.assert_array_equal(dropped(second, x), again)
    assert np.any(once != again)
    assert np.any(dropped(Dropout(0.5, seed=5), x) != once)


def test_global_seed_decides_where_none_is_given():
    def run():
        keras.utils.set_random_seed(6)
        return dropped(Dropout(0.5), np.ones((8, 8), "float32"))

    np.testing.assert_array_equal(run(), run())


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3, 5), (2, 4, 3, 3)])
def test_any_shape(shape):
    x = np.ones(shape, "float32")
    assert set(np.unique(dropped(Dropout(0.5, seed=0), x))) <= {0.0, 2.0}
    assert dropped(Dropout(0.5, seed=0), x).shape == shape


@pytest.mark.parametrize("jit_compile", [False, True])
def test_unknown_axes_in_a_compiled_model(jit_compile):
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, Dropout(0.5, seed=0)(inputs))
    model.compile(loss="mse", optimizer="sgd", jit_compile=jit_compile)
    for length in (3, 4):
        x = np.ones((5, length, 3), "float32")
        # Elements are 0 or 2, so that each is off by one.
        assert float(model.train_on_batch(x, x)) == 1.0
        np.testing.assert_array_equal(model.predict_on_batch(x), x)


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.5, None), (0.0, True)])
def test_inference_and_rate_zero_are_the_identity(rate, training):
    x = ops.convert_to_tensor(np.ones((4, 4), "float32"))
    assert Dropout(rate)(x, training=training) is x


def test_mixed_precision_keeps_the_type():
    layer = Dropout(0.1, seed=0, dtype="mixed_bfloat16")
    y = layer(np.ones((4, 4), "float32"), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"


def test_layer_survives_its_config():
    layer = Dropout(0.25, seed=9, name="drop")
    again = Dropout.from_config(layer.get_config())
    assert (again.rate, again.seed, again.name) == (0.25, 9, "drop")


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_rates_that_are_none(rate):
    message = f"Expected rate to be at least 0 and below 1, got rate={rate}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Dropout(rate)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_stochastic_depth_drops_whole_rows(rate):
    x = np.random.default_rng(0).normal(size=(4000, 3, 2)).astype("float32")
    layer = StochasticDepth(rate, seed=1)
    y = dropped(layer, x)
    is_gone = (y == 0).all(axis=(1, 2))
    rounded = round(rate * 2**16) / 2**16
    np.testing.assert_allclose(y[~is_gone], x[~is_gone] / (1 - rounded), rtol=1e-6)
    # Five standard deviations of a binomial distribution.
    assert abs(is_gone.sum() - rate * 4000) < 5 * math.sqrt(4000 * rate * (1 - rate))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=False)), x)


def test_a_residual_connection_leaves_rows_without_its_sublayer():
    x = np.random.default_rng(0).normal(size=(64, 3, 8)).astype("float32")
    layer = Residual(keras.layers.Dense(8), pre_norm=True, stochastic_depth=0.5)
    y, whole = dropped(layer, x), ops.convert_to_numpy(layer(x))
    is_gone = np.isclose(y, x, atol=1e-6).all(axis=(1, 2))
    assert 16 < is_gone.sum() < 48
    np.testing.assert_allclose(y[~is_gone] - x[~is_gone], 2 * (whole - x)[~is_gone], atol=1e-5)
    again = Residual.from_config(layer.get_config())
    assert again.stochastic_depth.rate == 0.5


def test_rates_of_a_stack_grow_with_depth():
    stack = Encoder(4, 2, 16, stochastic_depth=0.4)
    for part in ("attention", "feed_forward"):
        rates = [getattr(block, part).stochastic_depth.rate for block in stack.blocks]
        np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.4])
