"""Layers of models of several kinds, against NumPy."""

import keras
import numpy as np
import pytest

from keras_transformer.cross_encoder import CrossEncoder
from keras_transformer.kinds import JoinedSequences, JoinedVectors, KindEmbedding
from tests import reference
from tests.keras_transformer.checks import (
    assert_close,
    built,
    check_gradients,
    check_precision,
    check_round_trip,
    normal,
    random_mask,
    values,
)

B, T, S, D, H, F, N = 2, 3, 4, 8, 2, 6, 2
X, MEMORY = normal(B, T, D), normal(B, S, D - 2, seed=1)
MASK, MEMORY_MASK = random_mask(B, T), random_mask(B, S, seed=1)


def joined(w, one, two, activation="gelu"):
    kernels = np.concatenate([w[f"projection_{n}"]["kernel"] for n in range(2)])
    projected = np.concatenate([one, two], axis=1) @ kernels + w["projection_0"]["bias"]
    return reference.ACTIVATIONS[activation](projected)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_joined_vectors_are_a_layer_of_the_concatenated_ones(activation):
    one, two = normal(B, 5), normal(B, 3, seed=1)
    layer = built(JoinedVectors(4, activation=activation), [one, two])
    assert_close(layer([one, two]), joined(values(layer), one, two, activation))


def test_an_unknown_activation():
    with pytest.raises(ValueError, match="got activation='tan'"):
        JoinedVectors(4, activation="tan")


def test_a_kind_is_a_vector_that_is_added():
    layer = built(KindEmbedding(), X)
    assert_close(layer(X), X + values(layer)["embedding"])
    check_gradients(layer, lambda w, x: x + w["embedding"], X)


def test_sequences_follow_each_other():
    layer, others = JoinedSequences(), [X, normal(B, S, D, seed=3), normal(B, 1, D, seed=4)]
    assert_close(layer(others), np.concatenate(others, axis=1))
    symbolic = layer([keras.KerasTensor((None, None, D)), keras.KerasTensor((None, S, D))])
    assert symbolic.shape == (None, None, D)


@pytest.mark.parametrize("form", [{}, {"pre_norm": True, "activation": "relu"}])
def test_a_cross_encoder_equals_the_reference(form):
    layer = built(CrossEncoder(N, H, F, **form), X, MEMORY)
    w = values(layer)

    def expected(allowed, memory_allowed):
        return reference.stack(
            w, X, MEMORY, num_layers=N, num_heads=H, allowed=allowed,
            memory_allowed=memory_allowed, **form,
        )  # fmt: skip

    assert_close(layer(X, MEMORY), expected(True, True))
    masked = layer(X, MEMORY, mask=MASK, memory_mask=MEMORY_MASK)
    both = (reference.over_heads(MASK), reference.over_heads(MEMORY_MASK))
    assert_close(masked, expected(*both))
    # Every position attends to later ones, too.
    changed = X.copy()
    changed[:, -1] = normal(B, D, seed=2)
    one, other = (keras.ops.convert_to_numpy(layer(x, MEMORY)) for x in (X, changed))
    assert np.abs(one[:, 0] - other[:, 0]).max() > 1e-3


def test_they_are_saved_and_computed_in_half_precision(tmp_path):
    check_round_trip(tmp_path, KindEmbedding(), X)
    check_round_trip(tmp_path, CrossEncoder(1, H, F), X, MEMORY)
    check_precision("mixed_bfloat16", lambda **kw: CrossEncoder(1, H, F, **kw), X, MEMORY)
