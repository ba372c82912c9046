"""Files of published weights: types, shards, PyTorch's, and damage."""

import importlib.util
import json
import re
import struct

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained import tensors as module
from keras_transformer.zoo.pretrained.tensors import INDEX, PICKLED, WEIGHTS, open_tensors

VALUES = np.arange(12, dtype="float32").reshape(4, 3) / 4
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")


def refused(*parts):
    return pytest.raises(InputError, match=".*".join(map(re.escape, map(str, parts))))


def raw(path, header, data=b""):
    """A safetensors file with any header."""
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("F64", "float64"), ("F32", "float32"), ("F16", "float16"), ("BF16", ml_dtypes.bfloat16)],
)
def test_types_become_float32(tmp_path, name, dtype):
    data = VALUES.astype(dtype).tobytes()
    header = {"x": {"dtype": name, "shape": [4, 3], "data_offsets": [0, len(data)]}}
    raw(tmp_path / WEIGHTS, header, data)
    found = open_tensors(tmp_path)
    assert (found["x"].shape, found["x"].read().dtype, found.size) == ((4, 3), np.float32, 12)
    np.testing.assert_array_equal(found["x"].read(), VALUES)
    np.testing.assert_array_equal(found["x"].read(1, 3), VALUES[1:3])
    np.testing.assert_array_equal(found["x"].take(np.array([3, 0, 3])), VALUES[[3, 0, 3]])


def test_shards_are_one_model(tmp_path):
    safetensors.numpy.save_file({"a": VALUES}, tmp_path / "model-1.safetensors")
    safetensors.numpy.save_file({"b": VALUES + 1}, tmp_path / "model-2.safetensors")
    names = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": names}))
    found = open_tensors(tmp_path)
    assert (sorted(found), len(found), len(found.files)) == (["a", "b"], 2, 2)
    np.testing.assert_array_equal(found["b"].read(), VALUES + 1)
    assert found.source == str(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {**names, "c": names["a"]}}))
    with refused("Expected c of", "model-1.safetensors, got no such weight"):
        open_tensors(tmp_path)
    (tmp_path / "model-2.safetensors").unlink()
    with refused("Expected the file 'model-2.safetensors' of", "beside it, got none"):
        open_tensors(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with refused("'../elsewhere.safetensors'"):
        open_tensors(tmp_path)
    for empty in ("{}", '{"weight_map": {}}'):
        (tmp_path / INDEX).write_text(empty)
        with refused("to name the file of each weight, got no weight_map"):
            open_tensors(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        {"x": {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 400]}},
        {"x": {"dtype": "F32", "shape": [400, 3], "data_offsets": [0, 48]}},
        {"x": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 48]}},
        {"x": {"dtype": "F32", "shape": [4, 3], "data_offsets": [8, 56]}},
        {"x": {"dtype": "F12", "shape": [4, 3], "data_offsets": [0, 48]}},
        {"x": {"shape": [4, 3], "data_offsets": [0, 48]}},
        [],
    ],
)
def test_headers_that_lie(tmp_path, header):
    raw(tmp_path / WEIGHTS, header, VALUES.tobytes())
    with refused("to be a whole safetensors file, got an error:"):
        open_tensors(tmp_path)


def test_damaged_files(tmp_path):
    safetensors.numpy.save_file({"x": VALUES}, tmp_path / WEIGHTS)
    whole = (tmp_path / WEIGHTS).read_bytes()
    found = open_tensors(tmp_path)
    for data in (whole[:-1], whole[:20], whole[:4], b"", b"\xff" * 8 + whole[8:]):
        (tmp_path / WEIGHTS).write_bytes(data)
        with refused(f"Expected {tmp_path / WEIGHTS} to be a whole safetensors file"):
            open_tensors(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(whole[:-1])
    with refused("to be whole, got a shorter file"):
        found["x"].read()
    (tmp_path / WEIGHTS).unlink()
    with refused(f"Expected {WEIGHTS}, {INDEX} or {PICKLED} in {tmp_path}, got none"):
        open_tensors(tmp_path)


def test_integers_are_no_weights(tmp_path):
    safetensors.numpy.save_file({"x": np.arange(3)}, tmp_path / WEIGHTS)
    with refused("Expected weights in F64, F32, F16, BF16, got I64"):
        open_tensors(tmp_path)["x"].read()


@needs_torch
def test_files_of_pytorch(tmp_path):
    import torch

    value = torch.tensor(VALUES).bfloat16().requires_grad_()
    torch.save({"x": value}, tmp_path / PICKLED)
    found = open_tensors(tmp_path)["x"]
    assert found.shape == (4, 3)
    np.testing.assert_array_equal(found.read(), VALUES)
    np.testing.assert_array_equal(found.read(2, 4), VALUES[2:])
    np.testing.assert_array_equal(found.take(np.array([3, 0, 3])), VALUES[[3, 0, 3]])
    torch.save([value], tmp_path / PICKLED)
    with refused("to hold tensors by name, got list"):
        open_tensors(tmp_path)
    # It would run a function of the file's choice.
    torch.save({"x": print}, tmp_path / PICKLED)
    with refused(f"{tmp_path / PICKLED} to hold tensors alone, got other objects or a damaged"):
        open_tensors(tmp_path)
    (tmp_path / PICKLED).write_bytes(b"no pickle")
    with refused("to hold tensors alone, got other objects or a damaged file"):
        open_tensors(tmp_path)


@needs_torch
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_tensors_of_pytorch_that_are_no_weights(tmp_path):
    import torch

    plain = torch.tensor(VALUES)
    for value, kind in (
        (plain.to_sparse(), "x of .* to be a plain tensor, got a torch.sparse_coo one"),
        (plain.to("meta"), "x of .* to be a plain tensor, got a meta one"),
        (
            torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8),
            "x of .* to be a plain tensor, got a quantized one",
        ),
        ({"y": plain}, "to hold tensors by name, got dict by 'x'"),
    ):
        torch.save({"x": value}, tmp_path / PICKLED)
        with pytest.raises(InputError, match=kind):
            open_tensors(tmp_path)
    torch.save({3: plain}, tmp_path / PICKLED)
    with refused("to hold tensors by name, got Tensor by 3"):
        open_tensors(tmp_path)
    for value in (plain.to(torch.int8), plain.to(torch.complex64)):
        torch.save({"x": value}, tmp_path / PICKLED)
        with refused("Expected weights of floating-point numbers, got", str(value.dtype)):
            open_tensors(tmp_path)["x"].read()


def test_files_of_pytorch_need_it(tmp_path, monkeypatch):
    (tmp_path / PICKLED).write_bytes(b"")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with refused(f"got {PICKLED}, which only PyTorch reads; install keras-transformer-zoo[torch]"):
        open_tensors(tmp_path)
    (tmp_path / PICKLED).rename(tmp_path / "pytorch_model.bin.index.json")
    with refused(f"got {PICKLED} in shards"):
        open_tensors(tmp_path)
