"""Losses of vectors, against NumPy."""

import keras
import numpy as np
import pytest
import scipy.special

from keras_transformer.zoo.losses.vectors import CosineLoss, RankingLoss

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(12, 6)).astype("float32")
# The second and the last pair have the same second text.
IDS = np.array([0, 1, 2, 1])


def unit(vectors):
    vectors = vectors.astype("float64")
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def ranking(vectors, ids):
    vectors, count = unit(vectors), len(ids)
    total = 0.0
    for row in range(count):
        others = [
            place for place in range(count, len(vectors))
            if place == row + count or place >= 2 * count or ids[place - count] != ids[row]
        ]  # fmt: skip
        logits = 20 * np.array([vectors[row] @ vectors[place] for place in others])
        total -= scipy.special.log_softmax(logits)[others.index(row + count)]
    return total / count


@pytest.mark.parametrize("rows", [8, 12], ids=["pairs", "triplets"])
@pytest.mark.parametrize("widths", [(), (2, 4), (2, 6)])
def test_each_text_is_to_find_its_match(rows, widths):
    vectors = VECTORS[:rows]
    parts = sorted({*widths, 6})
    expected = np.mean([ranking(vectors[:, :width], IDS) for width in parts])
    np.testing.assert_allclose(RankingLoss(widths)(IDS, vectors), expected, rtol=1e-5)


def test_cosines_of_each_width():
    scores = np.array([0.0, 3.0, 5.0, 1.0], "float32")
    errors = []
    for width in (3, 6):
        vectors = unit(VECTORS[:8, :width])
        errors.append(np.mean(((vectors[:4] * vectors[4:]).sum(axis=1) - scores / 5) ** 2))
    found = CosineLoss(0.0, 5.0, (3,))(scores, VECTORS[:8])
    np.testing.assert_allclose(found, np.mean(errors), rtol=1e-5)


@pytest.mark.parametrize("loss", [RankingLoss((2, 4)), CosineLoss(1.0, 2.0, (3,))])
def test_losses_are_saved_with_a_model(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
