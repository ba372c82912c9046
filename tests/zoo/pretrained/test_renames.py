"""Weights by our paths: each operation, and what a file may lack or have too much of."""

import re

import numpy as np
import pytest
import safetensors.numpy

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.families.published import Published, Tensor, computed
from keras_transformer.zoo.pretrained.renames import OPERATIONS, RenamedWeights
from keras_transformer.zoo.pretrained.tensors import WEIGHTS, open_tensors

CONFIG = TransformerConfig(
    architecture="encoder", vocab_size=4, max_length=4, hidden_dim=6, intermediate_dim=8,
    num_layers=2, num_heads=3,
)  # fmt: skip
X = np.arange(24, dtype="float32").reshape(4, 6) + 1
X_HEADS = X.reshape(4, 3, 2, 1)


def refused(sentence):
    return pytest.raises(InputError, match=re.escape(sentence))


def weights(folder, arrays, table, shapes, rows=None, **kwargs):
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(value) for name, value in arrays.items()}, folder / WEIGHTS
    )
    published = Published(model_types=(), settings=dict, tensors=table, **kwargs)
    return RenamedWeights(published, open_tensors(folder), CONFIG, shapes, rows=rows)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Tensor("x"), X),
        (Tensor("x").transposed(), X.T),
        (Tensor("x").part(1, 3), X[:, 2:4]),
        (Tensor("x").head_part(1, 2), X_HEADS[:, :, 1].reshape(4, 3)),
        (Tensor("x").from_row(1), X[1:]),
        (Tensor("x").row(2), X[2]),
        (Tensor("x").flat(), X),
        (Tensor("x").first(), X[0]),
        (Tensor("x").scaled("hidden_dim", -0.5), X * np.float32(6**-0.5)),
        (Tensor("x").scaled("head_width", 0.5).transposed(), X.T * np.float32(2**0.5)),
        (Tensor("x").plus_one(), X + 1),
        (Tensor("x").vocabulary(), X[[1, 0, 3, 3]] * np.array([[1], [1], [1], [0]])),
        (computed("zeros"), np.zeros((4, 6))),
    ],
)
def test_operations(tmp_path, source, expected):
    rows = np.array([1, 0, 3, -1]) if source.steps[:1] == (("vocabulary",),) else None
    left_out = () if source.name else ("x",)
    found = weights(
        tmp_path, {"x": X}, {"ours": source}, {"ours": expected.shape}, rows, left_out=left_out
    )
    assert (list(found), len(found)) == (["ours"], 1)
    np.testing.assert_array_equal(found["ours"], expected.astype("float32"))
    assert found["ours"].flags.c_contiguous


def test_every_operation_has_a_test():
    mark = test_operations.pytestmark[0]
    tested = {step[0] for source, _ in mark.args[1] for step in source.steps}
    assert {*OPERATIONS, "vocabulary", "zeros"} == tested | {"of_patches", "of_frames"}


def test_the_kernel_of_a_convolution_of_frames(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(5, 3, 2)).astype("float32")
    source = Tensor("x").of_frames()
    found = weights(tmp_path, {"x": kernel}, {"ours": source}, {"ours": (6, 5)})["ours"]
    frames = np.random.default_rng(1).normal(size=(2, 3)).astype("float32")
    # Frame by frame, the channels of each in turn.
    expected = np.einsum("oct,tc->o", kernel, frames)
    np.testing.assert_allclose(frames.reshape(-1) @ found, expected, rtol=1e-5)


def test_the_kernel_of_a_convolution_is_that_of_patches(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(5, 3, 2, 2)).astype("float32")
    source = Tensor("x").of_patches()
    found = weights(tmp_path, {"x": kernel}, {"ours": source}, {"ours": (12, 5)})["ours"]
    patch = np.random.default_rng(1).normal(size=(2, 2, 3)).astype("float32")
    # A patch has its pixels row by row, and of each its channels.
    expected = np.einsum("hwc,dchw->d", patch, kernel)
    np.testing.assert_allclose(patch.reshape(-1) @ found, expected, rtol=1e-5)


def test_blocks_prefixes_and_old_names(tmp_path):
    table = {
        "encoder/block_{}/norm/gamma": Tensor("layer.{}.LayerNorm.weight"),
        "encoder/block_{}/norm/beta": Tensor("layer.{}.LayerNorm.bias"),
    }
    arrays = {
        f"model.layer.{block}.LayerNorm.{name}": np.full(2, block, "float32")
        for block in (0, 1)
        for name in ("gamma", "beta")
    }
    shapes = {f"encoder/block_{block}/norm/{name}": (2,) for block in (0, 1)
              for name in ("gamma", "beta")}  # fmt: skip
    found = weights(tmp_path, arrays, table, shapes, prefixes=("model.",))
    np.testing.assert_array_equal(found["encoder/block_1/norm/gamma"], [1, 1])
    arrays["layer.0.LayerNorm.weight"] = np.ones(2, "float32")
    with refused("Expected one tensor of each name"):
        weights(tmp_path, arrays, table, shapes, prefixes=("model.",))


def test_strict_in_both_directions(tmp_path):
    table, shapes = {"ours": Tensor("x")}, {"ours": (4, 6)}
    with refused(f"Expected a tensor x for ours in {tmp_path / WEIGHTS}, got none."):
        weights(tmp_path, {"y": X}, table, shapes)
    with refused(f"Expected tensors that the model has in {tmp_path / WEIGHTS}, got y."):
        weights(tmp_path, {"x": X, "y": X}, table, shapes)
    with refused("Expected a published tensor for other in the family's table, got none."):
        weights(tmp_path, {"x": X}, table, {"other": (1,)})
    weights(tmp_path, {"x": X, "y.0.z": X}, table, shapes, left_out=(r"y\.\d+\.z",))


@pytest.mark.parametrize(
    ("source", "shape"),
    [
        (Tensor("x"), (6, 4)),
        (Tensor("x").part(0, 5), (4, 1)),
        (Tensor("x").row(9), (6,)),
        (Tensor("x").vocabulary(), (9, 6)),
    ],
)
def test_shapes_that_contradict_the_config(tmp_path, source, shape):
    with refused(f"to make a weight of shape {shape} as the config says, got (4, 6)."):
        weights(tmp_path, {"x": X}, {"ours": source}, {"ours": shape}, np.arange(9))


def test_copies_have_to_be_equal(tmp_path):
    table, shapes, tied = {"ours": Tensor("x")}, {"ours": (4, 6)}, {"x": ("y", "z")}
    weights(tmp_path, {"x": X, "y": X, "z": X}, table, shapes, tied=tied)
    found = weights(tmp_path, {"z": X}, table, shapes, tied=tied)
    np.testing.assert_array_equal(found["ours"], X)
    for other in (X + 1, X[:2]):
        with refused(f"Expected y of {tmp_path / WEIGHTS} to equal x, got other numbers."):
            weights(tmp_path, {"x": X, "y": other}, table, shapes, tied=tied)


def test_what_the_model_lacks_has_to_be_zero(tmp_path):
    table, shapes = {"ours": Tensor("x")}, {"ours": (4, 6)}
    weights(tmp_path, {"x": X, "b": 0 * X}, table, shapes, zeros=("b",))
    with refused(f"Expected b of {tmp_path / WEIGHTS} to be zero"):
        weights(tmp_path, {"x": X, "b": X}, table, shapes, zeros=("b",))


def test_what_some_files_have_is_read_in_place_of_what_is_computed(tmp_path):
    table, shapes = {"ours": computed("zeros")}, {"ours": (4, 6)}
    stored = {"ours": Tensor("x")}
    np.testing.assert_array_equal(
        weights(tmp_path, {"y": X}, table, shapes, stored=stored, left_out=("y",))["ours"], 0 * X
    )
    found = weights(tmp_path, {"x": X}, table, shapes, stored=stored)
    np.testing.assert_array_equal(found["ours"], X)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("source", [Tensor("x"), Tensor("x").vocabulary()])
def test_weights_are_finite(tmp_path, source, value):
    broken = X.copy()
    broken[2, 1] = value
    found = weights(tmp_path, {"x": broken}, {"ours": source}, {"ours": (4, 6)}, np.arange(4))
    with refused(f"Expected finite numbers in x of {tmp_path / WEIGHTS}, got {value}"):
        found["ours"]
