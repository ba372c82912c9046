import gzip
import re

import keras
import numpy as np
import pytest

from keras_transformer.edge.convert import convert
from keras_transformer.edge.prune import Pruner, keep_zeros, prunable, prune, sparsity_of
from keras_transformer.edge.qat import quantize
from keras_transformer.quantization import Projection
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.train import train
from keras_transformer.zoo.trained import Trained
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


@pytest.fixture(scope="module")
def sparse(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sparse")
    prune(runs.trained, folder / "sparse", sparsity=0.8, epochs=3)
    return folder / "sparse"


def test_a_run_writes_a_sparse_checkpoint(runs, sparse):
    before = values_of(runs.trained.model)
    trained = Trained.load(sparse)
    for old, new in zip(before, values_of(trained.model), strict=True):
        assert np.count_nonzero(new) == max(1, round(0.2 * old.size))
    assert (trained.recipe.sparsity, trained.recipe.pattern) == (0.8, "element")
    assert trained.metrics["dense"] == runs.trained.metrics["validation"]
    # Three topics by their words, which a fifth of the weights can tell apart.
    assert trained.metrics["validation"]["accuracy"] > 0.9
    # What was pruned is another checkpoint than what it was pruned from.
    assert sparsity_of(runs.trained.model) < 0.01


def test_zeros_stay_through_quantization_and_compress(runs, sparse, tmp_path):
    quantized = quantize(Trained.load(sparse), tmp_path / "int8", epochs=1)
    assert sparsity_of(quantized.model) >= 0.8 - 1e-3
    thin, dense = (len(gzip.compress(convert(one, "int8").data)) for one in (
        quantized, runs.quantized
    ))  # fmt: skip
    assert thin < 0.85 * dense, (thin, dense)


def test_a_killed_run_ends_where_the_unbroken_one_does(runs, tmp_path):
    class Killed(Exception):
        pass

    class Report:
        def start(self, name, total): ...
        def note(self, text): ...
        def epoch(self, *values): ...
        def step(self, step, loss):
            if step == 7:
                raise Killed

    options = {"sparsity": 0.6, "epochs": 2, "save_every": 3}
    whole = prune(runs.trained, tmp_path / "whole", **options)
    with pytest.raises(Killed):
        prune(runs.trained, tmp_path / "broken", **options, report=Report())
    resumed = prune(runs.trained, tmp_path / "broken", **options, resume=True)
    for one, other in zip(values_of(whole.model), values_of(resumed.model), strict=True):
        np.testing.assert_array_equal(one, other)


def refused(sentence):
    return pytest.raises(InputError, match=f"^{re.escape(sentence)}$")


def test_what_cannot_be(runs, tmp_path):
    out = tmp_path / "out"
    with refused("Expected sparsity to be from 0 to below 1, got sparsity=1.0."):
        prune(runs.trained, out, sparsity=1.0)
    for none in (0.0, None):
        with refused(f"Expected sparsity to be above 0 and below 1, got sparsity={none}."):
            prune(runs.trained, out, sparsity=none)
    with refused("Expected sparsity to be 0.5 for 2:4, got sparsity=0.8."):
        prune(runs.trained, out, sparsity=0.8, pattern="2:4")
    with refused("Expected pattern to be one of element, block, 2:4, got '1:8'."):
        prune(runs.trained, out, sparsity=0.8, pattern="1:8")
    with refused(
        "Expected a float checkpoint to prune, got a quantized one; prune first, and quantize "
        "what that gives."
    ):
        prune(runs.quantized, out, sparsity=0.8)
    recipe = Recipe(**{**vars(runs.trained.recipe), "sparsity": 0.8})
    with refused(
        "Expected sparsity to be 0 where a model is trained anew, got sparsity=0.8; "
        "use keras-transformer prune."
    ):
        train(recipe, out)
    assert not out.exists()
