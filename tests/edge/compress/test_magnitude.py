import keras
import numpy as np

from keras_transformer.edge.compress.magnitude import Pruner, keep_zeros, prunable, sparsity_of
from keras_transformer.quantization import Projection
from tests.edge.models import random_model

STEPS = 40


def values_of(model):
    return [np.array(variable.value) for variable in prunable(model)]


def model_of(shape=(24, 16)):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(shape[:1]), Projection(shape[1])])


def pruned_model(sparsity, pattern, shape=(24, 16), steps=STEPS):
    model = model_of(shape)
    pruner = Pruner(model, sparsity, pattern, steps)
    shares = []
    for step in range(1, steps + 1):
        pruner(step)
        shares.append(sparsity_of(model))
    return model, pruner, shares


def test_kernels_and_tables_are_pruned_each_once():
    model = random_model(num_layers=2).model
    names = {variable.path.split("/")[-1] for variable in prunable(model)}
    assert names == {"kernel", "embeddings"}
    paths = [variable.path for variable in prunable(model)]
    assert len(paths) == len(set(paths)) > 12
    assert not any("position" in path or "norm" in path for path in paths)


def test_the_smallest_weights_are_zero():
    [before] = values_of(model_of())
    model, _, _ = pruned_model(0.75, "element")
    [after] = values_of(model)
    kept = np.sort(np.abs(before).ravel())[-before.size // 4 :]
    np.testing.assert_array_equal(after, np.where(np.abs(before) >= kept[0], before, 0))


def test_the_sparsity_grows_in_the_first_half_by_the_cube():
    _, pruner, shares = pruned_model(0.8, "element")
    assert pruner.end_step == STEPS // 2
    # Zhu and Gupta 2017, equation 1; a share of 384 weights.
    expected = [
        0.8 - 0.8 * (1 - min(1, step / pruner.end_step)) ** 3 for step in range(1, STEPS + 1)
    ]
    np.testing.assert_allclose(shares, expected, atol=1 / 384)


def test_blocks_are_zero_as_a_whole():
    model, _, shares = pruned_model(0.5, "block")
    [kernel] = values_of(model)
    blocks = kernel.reshape(6, 4, 4, 4).transpose(0, 2, 1, 3).reshape(24, 16)
    zeros = (blocks == 0).sum(axis=1)
    assert set(zeros) == {0, 16}
    assert shares[-1] == 0.5


def test_two_of_four_consecutive_inputs_are_zero():
    [before] = values_of(model_of())
    model, _, shares = pruned_model(0.5, "2:4")
    [after] = values_of(model)
    assert shares == [0.5] * STEPS
    groups, kept = before.T.reshape(-1, 4), after.T.reshape(-1, 4)
    largest = np.sort(np.abs(groups), axis=1)[:, 2:3]
    np.testing.assert_array_equal(kept, np.where(np.abs(groups) >= largest, groups, 0))


def test_zeros_are_kept():
    model = model_of()
    [kernel] = prunable(model)
    holes = np.random.default_rng(0).random((24, 16)) < 0.3
    kernel.assign(np.where(holes, 0, np.array(kernel.value)))
    keep = keep_zeros(model)
    kernel.assign(np.full((24, 16), 2.0))
    keep(1)
    np.testing.assert_array_equal(np.array(kernel.value), np.where(holes, 0, 2))
