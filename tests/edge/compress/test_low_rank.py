import re

import numpy as np
import pytest

from keras_transformer.edge.compress.low_rank import factorized, rank_of_energy
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.config_checks import ARCHITECTURES
from tests.zoo import tiny

RANK = 5


def kernels_of(weights):
    return {path: value for path, value in weights.items() if path.endswith("/kernel")}


def model_of(architecture, **changes):
    config = tiny.config(architecture, num_layers=2, num_segments=0, **changes)
    task = tiny.TASK if architecture == "encoder" else None
    model = build(config, task)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(variable + 0.2 * rng.normal(size=variable.shape))
    return model, config, task


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_kernels_of_the_rank_are_computed_as_before(architecture):
    model, config, task = model_of(architecture, gated=True, num_heads=4, num_key_value_heads=2)
    weights = get_weights(model)
    rng = np.random.default_rng(1)
    for path, kernel in kernels_of(weights).items():
        # Kernels (16, 8) of keys and values hold 128 numbers, and 120 in two factors.
        if min(kernel.shape) > RANK:
            left, right = rng.normal(size=(kernel.shape[0], RANK)), rng.normal(size=(RANK, 1))
            mixed = left @ (right * rng.normal(size=(RANK, kernel.shape[1])))
            weights[path] = (mixed / 16).astype("float32")
    set_weights(model, weights)
    new, factors = factorized(config, weights, RANK)
    assert new == config.replace(rank=RANK)
    small = build(new, task)
    set_weights(small, factors)
    assert not any(path.endswith("query/kernel") for path in factors)
    assert small.count_params() < model.count_params()
    ids = rng.integers(1, 20, (3, 7)).astype("int32")
    inputs = {tensor.name: ids for tensor in model.inputs}
    np.testing.assert_allclose(small(inputs), model(inputs), rtol=1e-4, atol=1e-4)


def test_factors_are_the_nearest_of_their_rank():
    kernel = np.random.default_rng(0).normal(size=(12, 20)).astype("float32")
    weights = {"a/kernel": kernel, "a/bias": np.ones(20, "float32")}
    _, factors = factorized(tiny.config(), weights, 4)
    assert set(factors) == {"a/reduce/kernel", "a/expand/kernel", "a/expand/bias"}
    rest = kernel - factors["a/reduce/kernel"] @ factors["a/expand/kernel"]
    # Eckart and Young: the squared error is the sum of the squared singular values left out.
    left_out = np.sort(np.linalg.eigvalsh(kernel.astype("float64") @ kernel.T))[:-4]
    np.testing.assert_allclose(np.sum(rest.astype("float64") ** 2), left_out.sum(), rtol=1e-4)


def test_the_rank_of_an_energy():
    # Energies 16, 9, 4, 1 of a kernel that ranks 1 to 3 make smaller, and 10 of one that none does.
    wide = np.zeros((4, 13))
    wide[np.arange(4), np.arange(4)] = [4, 3, 2, 1]
    weights = {"a/kernel": wide, "b/kernel": np.full((1, 10), 1.0), "table": np.ones((9, 9))}
    assert [rank_of_energy(weights, share) for share in (0.6, 26.1 / 40, 0.87, 0.9)] == [1, 2, 2, 3]
    sentence = (
        "Expected energy to be at most the 0.9750 that rank 3 keeps, the largest that makes a "
        "kernel smaller, got energy=0.98."
    )
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        rank_of_energy(weights, 0.98)


def test_impossible_ranks():
    weights = {"a/kernel": np.ones((12, 20))}
    for rank in (0, 8):
        sentence = (
            "Expected rank to be from 1 to 7, the largest that makes a kernel smaller, "
            f"got rank={rank}."
        )
        with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
            factorized(tiny.config(), weights, rank)
    for energy in (0.0, 1.0):
        sentence = f"Expected energy to be above 0 and below 1, got energy={energy}."
        with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
            rank_of_energy(weights, energy)
