"""Pooled vectors against NumPy, with a mask and where nothing is padding."""

import keras
import numpy as np
import pytest

from keras_transformer.bits import all_bits
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.models.build import all_layers, get_weights, set_weights
from keras_transformer.zoo.models.parts import Parts
from keras_transformer.zoo.models.pooling import pool
from tests.zoo import tiny

LENGTH, WIDTH = 7, 32
X = np.random.default_rng(0).normal(size=(3, LENGTH, WIDTH)).astype("float32")
MASK = np.arange(LENGTH) < np.array([[7], [4], [1]])


def model_of(pooling, *, masked, bits=None):
    config = tiny.config(pooling=pooling, pooler="none", hidden_dim=WIDTH)
    x, mask = keras.Input((LENGTH, WIDTH)), keras.Input((LENGTH,), dtype="bool")
    outputs = pool(Parts(config, all_bits(bits), "float32"), x, mask if masked else None)
    model = keras.Model([x, mask], outputs)
    rng = np.random.default_rng(1)
    set_weights(model, {
        path: 0.3 * rng.normal(size=value.shape).astype("float32") if value.ndim else value
        for path, value in get_weights(model).items()
    })  # fmt: skip
    return model


def expected(pooling, mask, weights):
    rows = []
    for row, real in zip(X.astype("float64"), mask, strict=True):
        row = row[real]
        if pooling == "attention":
            scores = row @ weights["pooling_scores/kernel"] + weights["pooling_scores/bias"]
            shares = np.exp(scores) / np.exp(scores).sum()
            rows.append((shares * row).sum(0))
        else:
            rows.append({"first": row[0], "mean": row.mean(0), "max": row.max(0)}[pooling])
    return np.stack(rows)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("pooling", ["first", "mean", "max", "attention"])
def test_poolings(pooling, masked):
    model = model_of(pooling, masked=masked)
    mask = MASK if masked else np.ones_like(MASK)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model([X, MASK])),
        expected(pooling, mask, get_weights(model)), rtol=1e-5, atol=1e-6,
    )  # fmt: skip


@pytest.mark.parametrize("bits", [
    {"kernel_bits": 8, "activation_bits": 8},
    {"kernel_bits": 8, "activation_bits": 8, "inner_bits": 8},
])  # fmt: skip
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_rounded_poolings(pooling, masked, bits):
    model = model_of(pooling, masked=masked, bits=bits)
    for layer in all_layers(model):
        if isinstance(layer, QuantPoint) and layer.is_learned:
            layer.set_range(-16.0, 8.0)
    mask = MASK if masked else np.ones_like(MASK)
    found = keras.ops.convert_to_numpy(model([X, MASK]))
    # Steps of 0.1 of the scores and the result, of 1/256 of each of seven shares.
    np.testing.assert_allclose(found, expected(pooling, mask, get_weights(model)), atol=0.25)
