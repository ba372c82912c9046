"""Checkpoint folders that were changed with their manifest: one sentence, and nothing is built."""

import json
import os
import shutil

import numpy as np
import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.files import weights_from_bytes, weights_to_bytes
from tests.fuzz.seals import seal_folder


@pytest.fixture
def folder(learned, tmp_path):
    """A copy of the checkpoint, to change."""
    return shutil.copytree(learned[0], tmp_path / "copy")


def message(folder):
    with pytest.raises(InputError) as caught:
        Checkpoint.load(folder)
    return str(caught.value)


def change_json(folder, name, change):
    value = json.loads((folder / name).read_bytes())
    change(value)
    (folder / name).write_text(json.dumps(value), encoding="utf-8")
    seal_folder(folder)


def put(path, value):
    def change(given):
        *outer, last = path.split(".")
        for name in outer:
            given = given[name]
        given[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("extra", 1, "to have model, task, modality, max_length and bits, got"),
        ("task", "classification", "a task with name and pair, got 'classification'"),
        ("task.name", ["a"], "a task with name and pair"),
        ("task.name", "sorcery", "task to be one of"),
        ("task.pair", 1, "a task with name and pair"),
        ("max_length", 0, "a max_length from 1 to 1048576, got 0"),
        ("max_length", 1000, "at most the model's 512 positions, got 1000"),
        ("modality", [], "the name of a modality, got []"),
        ("modality", "smell", "modality to be one of"),
        ("bits", [], "bits by name, got []"),
        ("bits", {"kernel_bits": "8"}, "bits from 1 to 65536, got {'kernel_bits': '8'}"),
        ("bits", {"kernel_bits": 1 << 20}, "bits from 1 to 65536"),
        ("bits", {"kernel_bits": 99}, "is of no model: Expected kernel_bits"),
        ("bits", {"keep": [1]}, "patterns of layers to keep, got [1]"),
        ("model", [], "Expected a model config"),
        ("model.hidden_dim", 2**40, "weights, weights.safetensors has"),
        ("model.vocab_size", 10**9, "weights, weights.safetensors has"),
        ("model.intermediate_dim", 10**7, "weights, weights.safetensors has"),
        ("model.num_layers", 3_000_000, "is of a model with 3000000 layers"),
        ("model.max_length", 2**40, "weights, weights.safetensors has"),
        ("model.vocab_size", 8, "at most the embedding's 8 ids"),
    ],
)
def test_configs(folder, path, value, reason):
    change_json(folder, "config.json", put(path, value))
    assert reason in message(folder)


def test_tables_that_no_weights_stand_for(folder):
    def waves(config):
        config["model"] |= {"positions": "sinusoidal", "max_length": 2**40}

    change_json(folder, "config.json", waves)
    assert "1099511627776 positions of width 16" in message(folder)


@pytest.mark.parametrize("name", ["config.json", "recipe.json", "metrics.json", "labels.txt"])
def test_a_file_that_the_manifest_does_not_list(folder, name):
    (folder / name).unlink()
    change_json(folder, "manifest.json", lambda manifest: manifest["sha256"].pop(name))
    assert f"it has no {name}" in message(folder)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("config.json", b"\xff", "config.json of {} to be UTF-8"),
        ("config.json", b"{", "config.json of {} to be JSON"),
        ("config.json", b"[" * 100_000, "config.json of {} to be JSON"),
        ("config.json", b"[1]", "config.json of {} to hold an object, got [1]"),
        ("metrics.json", b"[]", "metrics.json of {} to hold an object"),
        ("metrics.json", b'{"validation": 3}', "numbers by name, got 3"),
        ("metrics.json", b'{"validation": {"accuracy": []}}', "numbers by name"),
        ("recipe.json", b"[" * 100_000, "to be JSON"),
        ("tokenizer.json", b"[" * 100_000, "to hold JSON"),
        ("labels.txt", b"\xff\n", "labels.txt of {} to be UTF-8"),
        ("labels.txt", b"one\n", "at least two labels"),
        ("labels.txt", b"a\na\n", "each label once"),
        ("weights.safetensors", b"\xff" * 100, "safetensors format"),
    ],
)
def test_files(folder, name, data, reason):
    (folder / name).write_bytes(data)
    seal_folder(folder)
    assert reason.format(folder) in message(folder)


@pytest.mark.parametrize("data", [b"[" * 100_000, b"\xff", b"[]", b'{"sha256": []}'])
def test_manifests(folder, data):
    (folder / "manifest.json").write_bytes(data)
    assert "manifest.json is not" in message(folder)


@pytest.mark.parametrize(
    "probes",
    [
        {"ids": np.float32(1)},
        {"ids": np.zeros((3, 4), "int32"), "segment_ids": np.zeros((2, 4), "int32")},
        {"other": np.zeros((3, 4), "int32")},
    ],
)
def test_probes(folder, probes):
    arrays = {name: np.asarray(value) for name, value in probes.items()}
    (folder / "probes.safetensors").write_bytes(weights_to_bytes(arrays))
    seal_folder(folder)
    assert "probes.safetensors" in message(folder)


def test_weights_of_another_shape(folder):
    path = folder / "weights.safetensors"
    weights = weights_from_bytes(path.read_bytes())
    name = sorted(weights)[0]
    path.write_bytes(weights_to_bytes(weights | {name: np.zeros((2, 3), "float32")}))
    seal_folder(folder)
    assert f"the weight {name} to have shape" in message(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes in folders")
def test_a_pipe_in_place_of_a_file(folder):
    (folder / "labels.txt").unlink()
    os.mkfifo(folder / "labels.txt")
    assert "lacks its file labels.txt" in message(folder)


def test_names_that_are_no_paths(folder):
    change_json(folder, "manifest.json", lambda one: one["sha256"].update({"\ud800": "0"}))
    assert "lacks its file" in message(folder)
