"""Adapters that are damaged, or whose base is missing, moved or another."""

import json
import re
import shutil

import pytest

import keras_transformer as kt
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.storage.files import (
    read_folder,
    weights_from_bytes,
    weights_to_bytes,
    write_folder,
)
from tests.cli.calls import call, error_of
from tests.zoo import tiny
from tests.zoo.training.conftest import OPTIONS


def changed(adapters, tmp_path, **files):
    """A copy of the adapter with other files, whose manifest fits."""
    now = read_folder(adapters / "adapter") | {
        f"{name}.{'safetensors' if isinstance(value, dict) else 'json'}":
        weights_to_bytes(value) if isinstance(value, dict) else value
        for name, value in files.items()
    }
    path = tmp_path / "changed"
    write_folder(path, {name: data for name, data in now.items() if data}, overwrite=True)
    return path


def refused(sentence, kind=InputError):
    return pytest.raises(kind, match=re.escape(sentence))


def test_descriptions_that_are_none(adapters, tmp_path):
    said = json.loads((adapters / "adapter" / "adapter.json").read_text())
    path = tmp_path / "changed"
    for changes, sentence in (
        ({"rank": 0}, "to have a rank above 0, got 0."),
        ({"rank": True}, "to have a rank above 0, got True."),
        ({"alpha": float("inf")}, "to have a finite alpha above 0, got inf."),
        ({"alpha": "4"}, "to have a finite alpha above 0, got '4'."),
        ({"more": 1}, "to have rank, alpha, layers and base, got ['rank', 'alpha', 'layers', "
         "'base', 'more']."),
        ({"layers": 1}, "to have layers that are text, got 1."),
        ({"base": {"source": "x"}}, "to have a base with source, revision, licence and sha256, got "
         "{'source': 'x'}."),
        ({"base": {**said["base"], "source": ""}}, "to have a base with a source, got {"),
        ({"base": {**said["base"], "revision": 1}}, "to have a base with a source, got {"),
        ({"base": {**said["base"], "sha256": {}}}, "to have the SHA-256 of the base's files, got "
         "{}."),
    ):  # fmt: skip
        changed(adapters, tmp_path, adapter=json.dumps({**said, **changes}).encode())
        with refused(f"Expected adapter.json of {path} {sentence}"):
            kt.load(path)
    changed(adapters, tmp_path, adapter=b"{")
    with refused(f"Expected adapter.json of {path} to be JSON"):
        kt.load(path)
    changed(adapters, tmp_path, adapter=b"")
    with refused(f"The adapter {path} lacks its file adapter.json."):
        kt.load(path)


def test_weights_that_do_not_fit(adapters, tmp_path):
    weights = weights_from_bytes((adapters / "adapter" / "adapter.safetensors").read_bytes())
    down, up = (f"encoder/block_1/attention/sublayer/value/adapter/{one}" for one in ("down", "up"))
    path = tmp_path / "changed"
    has = f"Expected adapter.safetensors of {path} to have"
    for changes, sentence in (
        ({up: None}, f"{has} floats of shape (2, 16) as {up}, got none."),
        ({down: weights[down][:, :1]}, f"{has} floats of shape (16, 2) as {down}, got float32 of "
         "shape (16, 1)."),
        ({down: weights[down].astype("int32")}, f"{has} floats of shape (16, 2) as {down}, got "
         "int32 of shape (16, 2)."),
        ({"head/bias": None}, f"{has} floats of shape (2,) as head/bias, got none."),
        ({"encoder/block_0/x": weights[down]}, f"{has} what its model has, got encoder/block_0/x."),
    ):  # fmt: skip
        new = {name: value for name, value in {**weights, **changes}.items() if value is not None}
        changed(adapters, tmp_path, adapter=new)
        with refused(sentence):
            kt.load(path)
    said = json.loads((adapters / "adapter" / "adapter.json").read_text())
    changed(adapters, tmp_path, adapter=json.dumps({**said, "rank": 3}).encode())
    with pytest.raises(InputError, match=r"floats of shape \(\d+, 3\) as .* shape \(\d+, 2\)"):
        kt.load(path)
    for layers, sentence in (
        ("query", f"{has} what its model has, got encoder/block_0/attention/sublayer/value/adap"),
        ("query,gate", "Expected the pattern 'gate' of lora_layers to match the path of a layer"),
    ):
        changed(adapters, tmp_path, adapter=json.dumps({**said, "layers": layers}).encode())
        with refused(sentence):
            kt.load(path)
    config = json.loads((adapters / "adapter" / "config.json").read_text())
    config["model"]["hidden_dim"] = 2**20
    changed(adapters, tmp_path, config=json.dumps(config).encode())
    with pytest.raises(
        InputError, match="2 layers and at least .* the base with adapter.safetensors has [0-9]+"
    ):
        kt.load(path)
    config["model"]["hidden_dim"] = 8
    changed(adapters, tmp_path, config=json.dumps(config).encode())
    with refused("as the config says, got"):
        kt.load(path)
    damaged = tmp_path / "damaged"
    shutil.copytree(adapters / "adapter", damaged)
    (damaged / "adapter.safetensors").write_bytes(b"0" * 100)
    with refused(f"{damaged} was changed after it was written: adapter.safetensors does not match"):
        kt.load(damaged)


def test_a_base_that_is_missing_moved_or_another(adapters, tmp_path):
    said = json.loads((adapters / "adapter" / "adapter.json").read_text())
    said["base"]["source"] = str(tmp_path / "gone" / "bert")
    path = changed(adapters, tmp_path, adapter=json.dumps(said).encode())
    beside = tmp_path / "bert"
    sentence = (
        f"There is no published model {tmp_path / 'gone' / 'bert'} or {beside}, which {path} is an "
        "adapter of."
    )
    with refused(sentence, FileNotFoundError):
        kt.load(path)
    assert error_of(call("convert", path, "--out", tmp_path / "x")) == (2, f"Error: {sentence}")
    assert not (tmp_path / "x").exists()
    shutil.copytree(adapters / "bert", beside)
    tiny.assert_same_weights(
        get_weights(kt.load(path).model), get_weights(kt.load(adapters / "adapter").model)
    )
    config = beside / "config.json"
    config.write_text(config.read_text() + "\n")
    digest = said["base"]["sha256"]["config.json"]
    with refused(
        f"Expected config.json of {beside} to be that of the base of {path} (SHA-256 {digest}), "
        "got another one (SHA-256 "
    ):
        kt.load(path)
    said["base"]["sha256"] = {"model.safetensors": said["base"]["sha256"]["model.safetensors"]}
    said["base"]["source"] = str(adapters / "bert")
    changed(adapters, tmp_path, adapter=json.dumps(said).encode())
    with refused(f"to be that of the base of {path} (SHA-256 None), got another one"):
        kt.load(path)


def test_the_base_of_a_path_is_found_from_anywhere(adapters, tmp_path, monkeypatch):
    monkeypatch.chdir(adapters)
    data = {name: f"{name}.tsv" for name in ("train", "validation")}
    kt.train("./bert", **data, out=tmp_path / "out", adapter=True, **{**OPTIONS, "steps": 1})
    monkeypatch.chdir(tmp_path)
    assert kt.load("out").labels == ("0", "1")
    said = json.loads((tmp_path / "out" / "adapter.json").read_text())
    assert said["base"]["source"] == str(adapters / "bert")


def test_what_cannot_be(adapters, tmp_path):
    data = {name: adapters / f"{name}.tsv" for name in ("train", "validation")}
    no_lora = {**OPTIONS, "lora": 0}
    del no_lora["lora_layers"]
    with refused("Expected lora to be above 0 where adapter=True, got lora=0."):
        kt.train(str(adapters / "bert"), **data, **no_lora, lora_layers="*", adapter=True)
    with refused("Expected lora to be above 0 where lora_layers=query, got lora=0."):
        kt.train(str(adapters / "bert"), **data, **no_lora, lora_layers="query")
    with refused("Expected a folder (out) where adapter=True, got out=None."):
        kt.train(str(adapters / "bert"), **data, **OPTIONS, adapter=True)
    with refused("Expected no prune_vocabulary where adapter=True"):
        kt.train(str(adapters / "bert"), **data, **OPTIONS, adapter=True, out=tmp_path / "out",
                 prune_vocabulary=["w1 w2"])  # fmt: skip
    with refused(
        f"Expected a checkpoint with all its weights in {adapters / 'adapter'}, got an adapter"
    ):
        Checkpoint.load(adapters / "adapter")
    result = call(
        "train", adapters / "bert", "--train", data["train"], "--validation", data["validation"],
        "--adapter", "--out", tmp_path / "out",
    )  # fmt: skip
    sentence = "Error: Expected --lora to be above 0 where --adapter, got --lora 0."
    assert error_of(result) == (2, sentence)
