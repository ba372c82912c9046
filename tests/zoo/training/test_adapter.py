"""Adapters in folders of their own: the same model as the merged one, opened with its base."""

import errno
import json
import os
import re
import shutil

import keras
import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.storage.files import (
    read_folder,
    weights_from_bytes,
    weights_to_bytes,
    write_folder,
)
from keras_transformer.zoo.training.adaptation.adapter import Adapter
from keras_transformer.zoo.training.adaptation.lora import add_adapters, merged_weights
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.cli.calls import call, error_of, fill_disk
from tests.zoo import tiny
from tests.zoo.pretrained.tiny import REFERENCES
from tests.zoo.training.test_fine_tuning import write_words
from tests.zoo.training.test_lora import CONFIGS
from tests.zoo.training.test_resume import stopped_and_resumed

TEXTS = [f"w{i % 7} w{i % 11} w{i % 5}" for i in range(20)]
OPTIONS = {"epochs": 2, "lora": 2, "learning_rate": 0.02, "baseline": False, "report": kt.Report()}
BASE = {"source": "hf:a/b", "revision": "c", "licence": "mit", "sha256": {"config.json": "0"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, a base, and the folders of an adapter of it and of the merged model."""
    folder = tmp_path_factory.mktemp("adapters")
    write_words(folder)
    shutil.copytree(REFERENCES / "bert", folder / "bert")
    data = {name: folder / f"{name}.tsv" for name in ("train", "validation")}
    for name, adapter in (("merged", False), ("adapter", True)):
        kt.train(str(folder / "bert"), **data, out=folder / name, adapter=adapter, **OPTIONS)
    return folder


def scores(predictor):
    return np.asarray(predictor.scores(TEXTS))


def test_an_adapter_gives_the_outputs_of_the_merged_model(folder):
    merged, adapted = kt.load(folder / "merged"), kt.load(folder / "adapter")
    np.testing.assert_allclose(scores(adapted), scores(merged), atol=1e-6)
    tiny.assert_same_weights(get_weights(adapted.model), get_weights(merged.model))
    start = kt.build(str(folder / "bert"), adapted.task)
    changed = [
        path for path, value in get_weights(start).items()
        if path.startswith("encoder/") and not np.array_equal(
            value, get_weights(adapted.model)[path]
        )
    ]  # fmt: skip
    assert len(changed) == 12  # query, key, value, output, up and down of two blocks
    assert adapted.labels == merged.labels == ("0", "1")
    assert adapted.metrics == merged.metrics
    assert adapted.recipe.training.adapter and not merged.recipe.training.adapter


def test_its_folder_is_small_and_says_its_base(folder):
    files, merged = read_folder(folder / "adapter"), read_folder(folder / "merged")
    assert set(files) - set(merged) == {"adapter.safetensors", "adapter.json"}
    assert set(merged) - set(files) == {"weights.safetensors"}
    assert len(files["adapter.safetensors"]) < 10_000 < len(merged["weights.safetensors"])
    assert sum(map(len, files.values())) < 2**20
    said = json.loads(files["adapter.json"])
    published = kt.load(folder / "bert").recipe.model.published
    assert said == {"rank": 2, "alpha": 4.0, "base": published}
    assert set(published["sha256"]) == {"config.json", "model.safetensors"}
    stored = weights_from_bytes(files["adapter.safetensors"])
    blocks = [f"encoder/block_{i}" for i in range(2)]
    names = [f"attention/sublayer/{one}" for one in ("query", "key", "value", "output")]
    names += [f"feed_forward/sublayer/{one}" for one in ("up", "down")]
    factors = {
        f"{block}/{name}/adapter/{factor}"
        for block in blocks for name in names for factor in ("down", "up")
    }  # fmt: skip
    heads = {f"{layer}/{part}" for layer in ("head", "pooler") for part in ("kernel", "bias")}
    assert set(stored) == factors | heads
    assert json.loads(files["config.json"])["task"]["name"] == "classification"


def test_all_that_opens_a_checkpoint_opens_it(folder, tmp_path):
    adapter, merged = folder / "adapter", folder / "merged"
    out = tmp_path / "x.tflite"
    assert call("convert", adapter, "--out", out).exit_code == 0
    np.testing.assert_allclose(scores(kt.Runner(out)), scores(kt.load(merged)), atol=1e-5)
    for arguments in (
        ("evaluate", "{}", "--data", folder / "validation.tsv", "--json"),
        ("run", "{}", TEXTS[0], "--json"),
    ):
        one, other = (
            call(*(str(word).format(path) for word in arguments)) for path in (adapter, merged)
        )
        assert one.exit_code == other.exit_code == 0, one.output
        assert one.stdout.replace(str(adapter), str(merged)) == other.stdout
    small = kt.distill(adapter, init="teacher", settings={"num_layers": 1}, epochs=1,
                       out=tmp_path / "small", report=kt.Report())  # fmt: skip
    assert (small.recipe.training.lora, small.recipe.training.adapter) == (0, False)
    assert "weights.safetensors" in read_folder(tmp_path / "small")
    quantized = kt.quantize(adapter, epochs=1, out=tmp_path / "int8", report=kt.Report())
    assert not quantized.recipe.training.adapter
    assert Checkpoint.load(tmp_path / "int8").is_quantized


@pytest.mark.parametrize(
    ("base", "task", "columns"),
    [("llama", "language-modeling", {}), ("t5", "translation", {"source": "en", "target": "de"})],
)
def test_models_that_write(base, task, columns, tmp_path):
    texts = [" ".join(f"w{(i * j) % 9}" for j in range(1, 5)) for i in range(40)]
    for name in ("train", "validation"):
        (tmp_path / f"{name}.txt").write_text("\n".join(texts) + "\n")
        rows = ["en\tde", *(f"{text}\t{text[::-1][1::2]}" for text in texts)]
        (tmp_path / f"{name}.tsv").write_text("\n".join(rows) + "\n")
    kind = "tsv" if columns else "txt"
    data = {name: tmp_path / f"{name}.{kind}" for name in ("train", "validation")}
    for name, adapter in (("merged", False), ("adapter", True)):
        kt.train(
            str(REFERENCES / base), task, **data, **columns, out=tmp_path / name, adapter=adapter,
            **OPTIONS,
        )  # fmt: skip
    merged, adapted = kt.load(tmp_path / "merged"), kt.load(tmp_path / "adapter")
    tiny.assert_same_weights(get_weights(adapted.model), get_weights(merged.model))
    stored = weights_from_bytes((tmp_path / "adapter" / "adapter.safetensors").read_bytes())
    assert all("/adapter/" in path for path in stored)
    assert any(value.any() for path, value in stored.items() if path.endswith("/up"))


def test_saving_it_again_writes_all_weights(folder, tmp_path):
    kt.load(folder / "adapter").save(tmp_path / "whole")
    tiny.assert_same_weights(
        get_weights(Checkpoint.load(tmp_path / "whole").model),
        get_weights(kt.load(folder / "merged").model),
    )


@pytest.mark.parametrize("kind", CONFIGS)
def test_factors_of_each_architecture_come_back(kind):
    keras.utils.set_random_seed(0)
    head = tiny.TASK if kind == "encoder" else None
    model, plain = build(CONFIGS[kind], head), build(CONFIGS[kind], head)
    set_weights(plain, get_weights(model))
    add_adapters(model, 3)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.standard_normal(weight.shape))
    written = Adapter.of_model(model, BASE).files()
    adapter = Adapter.of_files(written, "x")
    assert (adapter.rank, adapter.alpha, adapter.base) == (3, 6.0, BASE)
    adapter.merge_into(plain, "x")
    tiny.assert_same_weights(get_weights(plain), merged_weights(model))


def test_a_run_is_resumed_and_a_finished_one_is_not_repeated(folder, tmp_path):
    recipe = kt.load(folder / "adapter").recipe.replace(save_every=2)
    stopped_and_resumed(recipe, tmp_path, 0.6)
    assert read_folder(tmp_path / "out") == read_folder(tmp_path / "whole")
    again = train_recipe(recipe, tmp_path / "out", resume=True, report=(heard := tiny.Heard()))
    assert not heard.steps
    np.testing.assert_array_equal(scores(again), scores(kt.load(tmp_path / "whole")))


def test_a_failed_write_leaves_the_run_as_it_was(folder, tmp_path, monkeypatch):
    recipe, out = kt.load(folder / "adapter").recipe, tmp_path / "out"
    save = Checkpoint.save

    def on_a_full_disk(checkpoint, path, **options):
        assert options["adapter"] is not None
        with monkeypatch.context() as patch:
            fill_disk(patch)
            save(checkpoint, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", on_a_full_disk)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            train_recipe(recipe, out, report=tiny.Heard(), baseline=False)
    assert [one.name for one in tmp_path.iterdir() if "lock" not in one.name] == ["out.training"]
    train_recipe(recipe, out, resume=True, report=(heard := tiny.Heard()), baseline=False)
    assert read_folder(out) == read_folder(folder / "adapter")
    assert not heard.steps


def changed(folder, tmp_path, **files):
    """A copy of the adapter with other files, whose manifest fits."""
    now = read_folder(folder / "adapter") | {
        f"{name}.{'safetensors' if isinstance(value, dict) else 'json'}":
        weights_to_bytes(value) if isinstance(value, dict) else value
        for name, value in files.items()
    }
    path = tmp_path / "changed"
    write_folder(path, {name: data for name, data in now.items() if data}, overwrite=True)
    return path


def refused(sentence, kind=InputError):
    return pytest.raises(kind, match=re.escape(sentence))


def test_descriptions_that_are_none(folder, tmp_path):
    said = json.loads((folder / "adapter" / "adapter.json").read_text())
    path = tmp_path / "changed"
    for changes, sentence in (
        ({"rank": 0}, "to have a rank above 0, got 0."),
        ({"rank": True}, "to have a rank above 0, got True."),
        ({"alpha": float("inf")}, "to have a finite alpha above 0, got inf."),
        ({"alpha": "4"}, "to have a finite alpha above 0, got '4'."),
        ({"more": 1}, "to have rank, alpha and base, got ['rank', 'alpha', 'base', 'more']."),
        ({"base": {"source": "x"}}, "to have a base with source, revision, licence and sha256, got "
         "{'source': 'x'}."),
        ({"base": {**said["base"], "source": ""}}, "to have a base with a source, got {"),
        ({"base": {**said["base"], "revision": 1}}, "to have a base with a source, got {"),
        ({"base": {**said["base"], "sha256": {}}}, "to have the SHA-256 of the base's files, got "
         "{}."),
    ):  # fmt: skip
        changed(folder, tmp_path, adapter=json.dumps({**said, **changes}).encode())
        with refused(f"Expected adapter.json of {path} {sentence}"):
            kt.load(path)
    changed(folder, tmp_path, adapter=b"{")
    with refused(f"Expected adapter.json of {path} to be JSON"):
        kt.load(path)
    changed(folder, tmp_path, adapter=b"")
    with refused(f"The adapter {path} lacks its file adapter.json."):
        kt.load(path)


def test_weights_that_do_not_fit(folder, tmp_path):
    weights = weights_from_bytes((folder / "adapter" / "adapter.safetensors").read_bytes())
    down, up = (f"encoder/block_1/attention/sublayer/key/adapter/{one}" for one in ("down", "up"))
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
        changed(folder, tmp_path, adapter=new)
        with refused(sentence):
            kt.load(path)
    said = json.loads((folder / "adapter" / "adapter.json").read_text())
    changed(folder, tmp_path, adapter=json.dumps({**said, "rank": 3}).encode())
    with pytest.raises(InputError, match=r"floats of shape \(\d+, 3\) as .* shape \(\d+, 2\)"):
        kt.load(path)
    config = json.loads((folder / "adapter" / "config.json").read_text())
    config["model"]["hidden_dim"] = 2**20
    changed(folder, tmp_path, config=json.dumps(config).encode())
    with pytest.raises(
        InputError, match="2 layers and at least .* the base with adapter.safetensors has [0-9]+"
    ):
        kt.load(path)
    config["model"]["hidden_dim"] = 8
    changed(folder, tmp_path, config=json.dumps(config).encode())
    with refused("as the config says, got"):
        kt.load(path)
    damaged = tmp_path / "damaged"
    shutil.copytree(folder / "adapter", damaged)
    (damaged / "adapter.safetensors").write_bytes(b"0" * 100)
    with refused(f"{damaged} was changed after it was written: adapter.safetensors does not match"):
        kt.load(damaged)


def test_a_base_that_is_missing_moved_or_another(folder, tmp_path):
    said = json.loads((folder / "adapter" / "adapter.json").read_text())
    said["base"]["source"] = str(tmp_path / "gone" / "bert")
    path = changed(folder, tmp_path, adapter=json.dumps(said).encode())
    beside = tmp_path / "bert"
    sentence = (
        f"There is no published model {tmp_path / 'gone' / 'bert'} or {beside}, which {path} is an "
        "adapter of."
    )
    with refused(sentence, FileNotFoundError):
        kt.load(path)
    assert error_of(call("convert", path, "--out", tmp_path / "x")) == (2, f"Error: {sentence}")
    assert not (tmp_path / "x").exists()
    shutil.copytree(folder / "bert", beside)
    np.testing.assert_array_equal(scores(kt.load(path)), scores(kt.load(folder / "adapter")))
    config = beside / "config.json"
    config.write_text(config.read_text() + "\n")
    digest = said["base"]["sha256"]["config.json"]
    with refused(
        f"Expected config.json of {beside} to be that of the base of {path} (SHA-256 {digest}), "
        "got another one (SHA-256 "
    ):
        kt.load(path)
    said["base"]["sha256"] = {"model.safetensors": said["base"]["sha256"]["model.safetensors"]}
    said["base"]["source"] = str(folder / "bert")
    changed(folder, tmp_path, adapter=json.dumps(said).encode())
    with refused(f"to be that of the base of {path} (SHA-256 None), got another one"):
        kt.load(path)


def test_the_base_of_a_path_is_found_from_anywhere(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    data = {name: f"{name}.tsv" for name in ("train", "validation")}
    kt.train("./bert", **data, out=tmp_path / "out", adapter=True, **{**OPTIONS, "steps": 1})
    monkeypatch.chdir(tmp_path)
    assert kt.load("out").labels == ("0", "1")
    said = json.loads((tmp_path / "out" / "adapter.json").read_text())
    assert said["base"]["source"] == str(folder / "bert")


def test_what_cannot_be(folder, tmp_path):
    data = {name: folder / f"{name}.tsv" for name in ("train", "validation")}
    with refused("Expected lora to be above 0 where adapter=True, got lora=0."):
        kt.train(str(folder / "bert"), **data, **{**OPTIONS, "lora": 0}, adapter=True)
    with refused("Expected a folder (out) where adapter=True, got out=None."):
        kt.train(str(folder / "bert"), **data, **OPTIONS, adapter=True)
    with refused(
        f"Expected a checkpoint with all its weights in {folder / 'adapter'}, got an adapter"
    ):
        Checkpoint.load(folder / "adapter")
    result = call(
        "train", folder / "bert", "--train", data["train"], "--validation", data["validation"],
        "--adapter", "--out", tmp_path / "out",
    )  # fmt: skip
    sentence = "Error: Expected lora to be above 0 where adapter=True, got lora=0."
    assert error_of(result) == (2, sentence)
