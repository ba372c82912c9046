"""Adapters in folders of their own: the same model as the merged one, opened with its base."""

import errno
import json
import os

import keras
import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.storage.files import read_folder, weights_from_bytes, write_folder
from keras_transformer.zoo.training.adaptation.adapter import Adapter
from keras_transformer.zoo.training.adaptation.lora import add_adapters, merged_weights
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.cli.calls import call, fill_disk
from tests.zoo import tiny
from tests.zoo.pretrained.tiny import REFERENCES
from tests.zoo.training.conftest import OPTIONS
from tests.zoo.training.test_lora import CONFIGS
from tests.zoo.training.test_resume import stopped_and_resumed

TEXTS = [f"w{i % 7} w{i % 11} w{i % 5}" for i in range(20)]
LAYERS = ("query", "value")
BASE = {"source": "hf:a/b", "revision": "c", "licence": "mit", "sha256": {"config.json": "0"}}


def scores(predictor):
    return np.asarray(predictor.scores(TEXTS))


def test_an_adapter_gives_the_outputs_of_the_merged_model(adapters):
    merged, adapted = kt.load(adapters / "merged"), kt.load(adapters / "adapter")
    np.testing.assert_allclose(scores(adapted), scores(merged), atol=1e-6)
    tiny.assert_same_weights(get_weights(adapted.model), get_weights(merged.model))
    start = kt.build(str(adapters / "bert"), adapted.task)
    changed = [
        path for path, value in get_weights(start).items()
        if path.startswith("encoder/") and not np.array_equal(
            value, get_weights(adapted.model)[path]
        )
    ]  # fmt: skip
    assert len(changed) == 4 and all(path.split("/")[-2] in LAYERS for path in changed)
    assert adapted.labels == merged.labels == ("0", "1")
    assert adapted.metrics == merged.metrics
    assert adapted.recipe.training.adapter and not merged.recipe.training.adapter


def test_its_folder_is_small_and_says_its_base(adapters):
    files, merged = read_folder(adapters / "adapter"), read_folder(adapters / "merged")
    assert set(files) - set(merged) == {"adapter.safetensors", "adapter.json"}
    assert set(merged) - set(files) == {"weights.safetensors"}
    assert len(files["adapter.safetensors"]) < 10_000 < len(merged["weights.safetensors"])
    assert sum(map(len, files.values())) < 2**20
    said = json.loads(files["adapter.json"])
    published = kt.load(adapters / "bert").recipe.model.published
    assert said == {"rank": 2, "alpha": 4.0, "layers": "query,value", "base": published}
    assert set(published["sha256"]) == {"config.json", "model.safetensors", "vocab.txt"}
    stored = weights_from_bytes(files["adapter.safetensors"])
    blocks = [f"encoder/block_{i}" for i in range(2)]
    names = [f"attention/sublayer/{one}" for one in LAYERS]
    factors = {
        f"{block}/{name}/adapter/{factor}"
        for block in blocks for name in names for factor in ("down", "up")
    }  # fmt: skip
    heads = {f"{layer}/{part}" for layer in ("head", "pooler") for part in ("kernel", "bias")}
    assert set(stored) == factors | heads
    assert json.loads(files["config.json"])["task"]["name"] == "classification"


@pytest.mark.slow
def test_all_that_opens_a_checkpoint_opens_it(adapters, tmp_path):
    adapter, merged = adapters / "adapter", adapters / "merged"
    out = tmp_path / "x.tflite"
    assert call("convert", adapter, "--out", out).exit_code == 0
    np.testing.assert_allclose(scores(kt.Runner(out)), scores(kt.load(merged)), atol=1e-5)
    for arguments in (
        ("evaluate", "{}", "--data", adapters / "validation.tsv", "--json"),
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "task", "columns"),
    [
        ("llama", "language-modeling", {}),
        pytest.param(
            "t5", "translation", {"source": "en", "target": "de"}, marks=pytest.mark.slow
        ),
    ],
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


@pytest.mark.slow
def test_adapters_beside_all_kernels_and_those_of_before(adapters, tmp_path):
    data = {name: adapters / f"{name}.tsv" for name in ("train", "validation")}
    for name, adapter in (("merged", False), ("adapter", True)):
        kt.train(
            str(adapters / "bert"), **data, out=tmp_path / name, adapter=adapter,
            **{**OPTIONS, "lora_layers": "*"},
        )  # fmt: skip
    merged = get_weights(kt.load(tmp_path / "merged").model)
    tiny.assert_same_weights(get_weights(kt.load(tmp_path / "adapter").model), merged)
    files = read_folder(tmp_path / "adapter")
    stored = weights_from_bytes(files["adapter.safetensors"])
    # Query, key, value, output, up and down of two blocks.
    assert sum(path.endswith("/up") for path in stored) == 12
    # Written before layers could be chosen: neither the adapter nor the recipe says them.
    said, recipe = (json.loads(files[name]) for name in ("adapter.json", "recipe.json"))
    assert (said.pop("layers"), recipe["training"].pop("lora_layers")) == ("*", "*")
    files |= {"adapter.json": json.dumps(said).encode(), "recipe.json": json.dumps(recipe).encode()}
    write_folder(tmp_path / "before", files)
    before = kt.load(tmp_path / "before")
    tiny.assert_same_weights(get_weights(before.model), merged)
    again = train_recipe(before.recipe, tmp_path / "again", baseline=False)
    tiny.assert_same_weights(get_weights(again.model), merged)


@pytest.mark.slow
def test_saving_it_again_writes_all_weights(adapters, tmp_path):
    kt.load(adapters / "adapter").save(tmp_path / "whole")
    tiny.assert_same_weights(
        get_weights(Checkpoint.load(tmp_path / "whole").model),
        get_weights(kt.load(adapters / "merged").model),
    )


@pytest.mark.parametrize("layers", ["*", "query,value"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_factors_of_each_architecture_come_back(kind, layers):
    keras.utils.set_random_seed(0)
    head = tiny.TASK if kind == "encoder" else None
    model, plain = build(CONFIGS[kind], head), build(CONFIGS[kind], head)
    set_weights(plain, get_weights(model))
    add_adapters(model, 3, layers)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.standard_normal(weight.shape))
    written = Adapter.of_model(model, BASE, layers).files()
    adapter = Adapter.of_files(written, "x")
    assert (adapter.rank, adapter.alpha, adapter.base) == (3, 6.0, BASE)
    adapter.merge_into(plain, "x")
    tiny.assert_same_weights(get_weights(plain), merged_weights(model))


@pytest.mark.slow
def test_a_run_is_resumed_and_a_finished_one_is_not_repeated(adapters, tmp_path):
    recipe = kt.load(adapters / "adapter").recipe.replace(save_every=2)
    stopped_and_resumed(recipe, tmp_path, 0.6)
    assert read_folder(tmp_path / "out") == read_folder(tmp_path / "whole")
    again = train_recipe(recipe, tmp_path / "out", resume=True, report=(heard := tiny.Heard()))
    assert not heard.steps
    np.testing.assert_array_equal(scores(again), scores(kt.load(tmp_path / "whole")))


@pytest.mark.slow
def test_a_failed_write_leaves_the_run_as_it_was(adapters, tmp_path, monkeypatch):
    recipe, out = kt.load(adapters / "adapter").recipe, tmp_path / "out"
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
    assert read_folder(out) == read_folder(adapters / "adapter")
    assert not heard.steps
