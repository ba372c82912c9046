import dataclasses
import gzip
import re

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.compress.magnitude import prunable, sparsity_of
from keras_transformer.edge.compress.prune import effect, prune
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.counts import multiply_adds, parameters
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Distill, Prune, Quantize
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.slow import mostly_slow

WAYS = mostly_slow([{"sparsity": 0.6}, {"clusters": 8}], [{"sparsity": 0.6}])


def values_of(model):
    return [keras.ops.convert_to_numpy(variable.value).copy() for variable in prunable(model)]


@pytest.fixture(scope="module")
def sparse(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sparse")
    prune(runs.trained, folder / "sparse", sparsity=0.8, epochs=3)
    return folder / "sparse"


def test_a_run_writes_a_sparse_checkpoint(runs, sparse):
    before = values_of(runs.trained.model)
    trained = Checkpoint.load(sparse)
    for old, new in zip(before, values_of(trained.model), strict=True):
        assert np.count_nonzero(new) == max(1, round(0.2 * old.size))
    assert trained.recipe.prune == Prune(sparsity=0.8, pattern="element")
    assert trained.metrics["unpruned"] == runs.trained.metrics["validation"]
    # Three topics by their words, which a fifth of the weights can tell apart.
    assert trained.metrics["validation"]["accuracy"] > 0.9
    # What was pruned is another checkpoint than what it was pruned from.
    assert sparsity_of(runs.trained.model) < 0.01


@pytest.mark.slow
def test_zeros_stay_through_quantization_and_compress(runs, sparse, tmp_path):
    quantized = quantize(Checkpoint.load(sparse), out=tmp_path / "int8", epochs=1, share=0.5)
    assert sparsity_of(quantized.model) >= 0.8 - 1e-3
    thin, dense = (len(gzip.compress(bytes(convert(one, "int8")))) for one in (
        quantized, runs.quantized
    ))  # fmt: skip
    assert thin < 0.85 * dense, (thin, dense)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_killed_run_ends_where_the_unbroken_one_does(runs, tmp_path, way):
    class Killed(Exception):
        pass

    class Dying(Report):
        def step(self, step, loss):
            if step == 7:
                raise Killed

    options = {**way, "epochs": 2, "save_every": 3}
    whole = prune(runs.trained, tmp_path / "whole", **options)
    with pytest.raises(Killed):
        prune(runs.trained, tmp_path / "broken", **options, report=Dying())
    resumed = prune(runs.trained, tmp_path / "broken", **options, resume=True)
    for one, other in zip(values_of(whole.model), values_of(resumed.model), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def small(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    prune(runs.trained, folder / "small", heads=1, neurons=24, layers=1, epochs=2)
    return folder / "small"


def test_a_run_writes_a_smaller_checkpoint(runs, small):
    before, trained = runs.trained, Checkpoint.load(small)
    shape = {"num_heads": 1, "head_dim": 16, "intermediate_dim": 24, "num_layers": 1}
    assert trained.config == before.config.replace(**shape)
    assert trained.recipe.model.settings == {**before.recipe.model.settings, **shape}
    assert trained.metrics["unpruned"] == before.metrics["validation"]
    assert trained.metrics["validation"]["accuracy"] > 0.9
    assert effect(trained) == {
        "parameters_kept": parameters(trained.model) / parameters(before.model),
        "multiply_adds_kept": multiply_adds(trained.model, 16) / multiply_adds(before.model, 16),
    }
    assert effect(trained)["multiply_adds_kept"] < 0.3


@pytest.mark.slow
def test_a_smaller_checkpoint_is_quantized_and_converted(runs, small, tmp_path):
    quantized = quantize(Checkpoint.load(small), out=tmp_path / "int8", epochs=1)
    assert quantized.config.num_heads == 1
    file = convert(quantized, "int8")
    assert len(bytes(file)) < 0.7 * len(bytes(convert(runs.quantized, "int8")))


def refused(sentence):
    return pytest.raises(InputError, match=f"^{re.escape(sentence)}$")


@pytest.fixture(scope="module")
def factored(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("factored")
    prune(runs.trained, folder / "factored", rank=6, epochs=2)
    return folder / "factored"


@pytest.mark.slow
def test_a_run_writes_a_checkpoint_of_factors(runs, factored, tmp_path):
    trained = Checkpoint.load(factored)
    assert trained.config == runs.trained.config.replace(rank=6)
    assert trained.recipe.model.settings == {**runs.trained.recipe.model.settings, "rank": 6}
    assert trained.metrics["validation"]["accuracy"] > 0.9
    assert effect(trained)["multiply_adds_kept"] < 0.5
    quantized = quantize(trained, out=tmp_path / "int8", epochs=1)
    assert len(bytes(convert(quantized, "int8"))) < len(bytes(convert(runs.quantized, "int8")))


@pytest.fixture(scope="module")
def clustered(sparse, tmp_path_factory):
    """Of a sparse checkpoint: zero is one of the values."""
    folder = tmp_path_factory.mktemp("clustered")
    prune(Checkpoint.load(sparse), folder / "clustered", clusters=8, epochs=2)
    return folder / "clustered"


def test_a_run_writes_a_checkpoint_of_few_values(sparse, clustered):
    trained = Checkpoint.load(clustered)
    assert trained.recipe.prune == Prune(clusters=8, sparsity=0.8)
    assert max(len(np.unique(value)) for value in values_of(trained.model)) == 8
    for before, after in zip(
        values_of(Checkpoint.load(sparse).model), values_of(trained.model), strict=True
    ):
        np.testing.assert_array_equal(after == 0, before == 0)
    assert trained.metrics["validation"]["accuracy"] > 0.9
    assert effect(trained)["values_of_a_kernel"] == 8


@pytest.mark.slow
def test_values_stay_few_in_the_file_and_through_quantization(clustered, tmp_path):
    trained = Checkpoint.load(clustered)
    shapes = {value.size for value in values_of(trained.model)}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytes(convert(trained, "float32")), 0))
    kernels = [
        buffer.data.view("float32")
        for buffer in model.buffers
        if buffer.data is not None and len(buffer.data) in {4 * size for size in shapes}
    ]
    assert len(kernels) > 12
    assert max(len(np.unique(kernel)) for kernel in kernels) <= 8
    quantized = quantize(trained, out=tmp_path / "int8", epochs=1)
    for before, after in zip(values_of(trained.model), values_of(quantized.model), strict=True):
        assert len(np.unique(after)) <= 8
        np.testing.assert_array_equal(after == 0, before == 0)
    assert convert(quantized, "int8").parity.agreement == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fixture", "way", "done"),
    [
        ("sparse", {"heads": 1}, "heads for a checkpoint of sparsity=0.8"),
        ("factored", {"layers": 1}, "heads for a checkpoint of rank=6"),
        ("factored", {"energy": 0.5}, "rank for a checkpoint of rank=6"),
        ("clustered", {"sparsity": 0.9}, "sparsity for a checkpoint of clusters=8"),
    ],
)
def test_ways_follow_one_another(request, tmp_path, fixture, way, done):
    with refused(
        "Expected heads, neurons and layers to be pruned first, then rank, then sparsity, "
        f"then clusters, got {done}."
    ):
        prune(Checkpoint.load(request.getfixturevalue(fixture)), tmp_path / "out", **way)


def test_what_cannot_be(runs, tmp_path):
    out = tmp_path / "out"
    with refused("Expected sparsity to be from 0 to below 1, got sparsity=1.0."):
        prune(runs.trained, out, sparsity=1.0)
    with refused("Expected sparsity to be above 0 and below 1, got sparsity=0.0."):
        prune(runs.trained, out, sparsity=0.0)
    one_way = (
        "Expected one way to prune (heads, neurons and layers; rank or energy; sparsity and "
        "pattern; or clusters), got {}."
    )
    for options in ({}, {"heads": 1, "sparsity": 0.5}, {"rank": 4, "clusters": 8}):
        with refused(one_way.format(" and ".join(options) or "none")):
            prune(runs.trained, out, **options)
    with refused("Expected rank or energy, got rank=4, energy=0.5."):
        prune(runs.trained, out, rank=4, energy=0.5)
    for clusters in (1, 257):
        with refused(f"Expected clusters to be from 2 to 256, got clusters={clusters}."):
            prune(runs.trained, out, clusters=clusters)
    with refused(
        "Expected fewer heads, neurons or layers than the model's 2, 64 and 2, got no fewer."
    ):
        prune(runs.trained, out, heads=2, layers=2)
    with refused("Expected sparsity to be 0.5 for 2:4, got sparsity=0.8."):
        prune(runs.trained, out, sparsity=0.8, pattern="2:4")
    with refused("Expected pattern to be one of element, block, 2:4, got '1:8'."):
        prune(runs.trained, out, sparsity=0.8, pattern="1:8")
    with refused(
        "Expected a float checkpoint to prune, got a quantized one; prune first, and quantize "
        "what that gives."
    ):
        prune(runs.quantized, out, sparsity=0.8)
    parts = {"prune": Prune(clusters=16), "quantize": Quantize(), "distill": Distill()}
    for name, part in parts.items():
        recipe = dataclasses.replace(runs.trained.recipe, **{name: part})
        with refused(
            f"Expected {name} to be null where a model is trained anew, got {name}={part}; "
            f"use keras-transformer {name}."
        ):
            train_recipe(recipe, out)
    assert not out.exists()
