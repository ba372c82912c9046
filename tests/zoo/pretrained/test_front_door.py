"""Published models by their names wherever a model is named, from training to a file."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.recipe import Recipe
from tests.cli.calls import call, error_of
from tests.slow import mostly_slow
from tests.zoo.pretrained.tiny import REFERENCES

# w1 w2 ... are its words.
ROWS = (
    [f"w{1 + i % 4} w{9 + i % 3}" for i in range(24)] + [f"w{20 + i % 4} w9" for i in range(24)],
    ["low"] * 24 + ["high"] * 24,
)
OPTIONS = {"validation": 0.25, "epochs": 2, "max_length": 8, "report": kt.Report()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "bert"
    shutil.copytree(REFERENCES / "bert", folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    return kt.train(
        str(folder), "classification", train=ROWS,
        out=tmp_path_factory.mktemp("t") / "out", **OPTIONS,
    )


def refused(sentence, kind=kt.InputError):
    return pytest.raises(kind, match=re.escape(sentence))


def test_training_begins_with_the_published_weights(folder, monkeypatch):
    from keras_transformer.zoo.pretrained import load
    from keras_transformer.zoo.training import train_recipe

    first, read, read_tokenizer = {}, [], load.read_tokenizer
    monkeypatch.setattr(
        load, "read_tokenizer", lambda folder: read.append(folder) or read_tokenizer(folder)
    )

    def fit(model, *args, **kwargs):
        first.update(get_weights(model))
        raise KeyboardInterrupt

    monkeypatch.setattr(train_recipe, "Fit", fit)
    with pytest.raises(KeyboardInterrupt):
        kt.train(str(folder), train=ROWS, **OPTIONS)
    # A large vocabulary takes seconds.
    assert len(read) == 1
    published = get_weights(kt.load(folder).model)
    assert {*first} - {*published} == {"head/kernel", "head/bias"}
    for path, value in published.items():
        np.testing.assert_array_equal(first[path], value)


def test_a_trained_model_knows_where_it_began(folder, trained):
    model = trained.recipe.model
    assert model.name == str(folder)
    assert model.published["licence"] == "mit"
    assert set(model.published["sha256"]) == {"config.json", "model.safetensors", "vocab.txt"}
    assert trained.recipe.optimizer.learning_rate == 1e-4
    assert trained.recipe.optimizer.name == "adamw"
    assert trained.tokenizer.vocabulary[5] == "w0" and trained.tokenizer.config.lowercase
    assert trained.config.hidden_dim == 16
    assert set(trained.labels) == {"low", "high"}
    again = Recipe.from_json(trained.recipe.to_json())
    assert again == trained.recipe


def test_a_recipe_is_repeated_only_with_the_same_files(folder, trained, tmp_path):
    repeated = kt.train(trained.recipe, train=ROWS, report=kt.Report())
    for path, value in get_weights(trained.model).items():
        np.testing.assert_allclose(value, get_weights(repeated.model)[path], atol=1e-5)
    shutil.copytree(folder, tmp_path / "bert")
    config = tmp_path / "bert" / "config.json"
    config.write_text(config.read_text() + "\n")
    changed = trained.recipe.replace(model=str(tmp_path / "bert"))
    with refused(f"Expected config.json of {tmp_path / 'bert'} to be the file of the recipe"):
        kt.train(changed, train=ROWS, report=kt.Report())


@pytest.mark.slow
def test_a_run_is_resumed(folder, trained, tmp_path):
    options = {**OPTIONS, "out": tmp_path / "out", "train": ROWS, "save_every": 1}

    class Stop(kt.Report):
        def step(self, *args):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kt.train(str(folder), **{**options, "report": Stop()})
    resumed = kt.train(str(folder), **options, resume=True)
    for path, value in get_weights(trained.model).items():
        np.testing.assert_allclose(value, get_weights(resumed.model)[path], atol=1e-5)


@pytest.mark.slow
def test_the_file_says_where_it_began(trained, tmp_path):
    quantized = kt.quantize(trained, precision="int8", epochs=1, report=kt.Report())
    assert quantized.recipe.model == trained.recipe.model
    artifact = kt.convert(quantized)
    artifact.save(tmp_path / "m.tflite")
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "| began with | the published weights of bert, licence mit |" in card
    recipe = kt.Runner(tmp_path / "m.tflite").description["provenance"]["recipe"]
    assert recipe["model"]["name"] == recipe["model"]["published"]["source"] == "bert"


def test_options_that_a_published_model_has_already(folder):
    for name, value in (("vocab_size", 50), ("lowercase", False), ("tokenizer", "bytes")):
        with refused(f"Expected no {name} for a trained model, which has its own tokenizer"):
            kt.train(str(folder), train=ROWS, **OPTIONS, **{name: value})
    with refused("Expected no setting vocab_size: it follows from the tokenizer."):
        kt.train(str(folder), train=ROWS, **OPTIONS, settings={"vocab_size": 9})
    with refused("Expected a task that the encoder", ):
        kt.train(str(folder), "translation", train=ROWS, source="a", target="b", **OPTIONS)
    with refused("Expected tensors that the model has in"):
        kt.train(str(folder), train=ROWS, **OPTIONS, settings={"num_layers": 1})


def test_a_model_as_it_is(folder, tmp_path):
    embedder = kt.load(folder)
    assert (embedder.task_name, embedder.task.normalize, embedder.max_length) == (
        "embedding", False, 12
    )  # fmt: skip
    vector = embedder.predict(["w1 w2"])[0].vector
    assert vector.shape == (16,)
    np.testing.assert_array_equal(
        kt.load(folder / "model.safetensors").predict(["w1 w2"])[0].vector, vector
    )
    embedder.save(tmp_path / "saved")
    np.testing.assert_allclose(kt.load(tmp_path / "saved").predict(["w1 w2"])[0].vector, vector)
    artifact = kt.convert(embedder)
    np.testing.assert_allclose(
        kt.Runner(artifact).predict(["w1 w2"])[0].vector, vector, atol=1e-5
    )
    classifier = kt.load(REFERENCES / "bert_classes")
    assert (classifier.task_name, classifier.labels) == ("classification", ("bad", "fair", "good"))
    assert classifier.predict(["w1"])[0].label in classifier.labels


def test_building(folder):
    model = kt.build(str(folder), kt.Classification(labels=["a", "b"]), dropout=0.0)
    published = get_weights(kt.load(folder).model)
    for path, value in get_weights(model).items():
        if not path.startswith("head/"):
            np.testing.assert_array_equal(value, published[path])
    assert kt.build(str(folder)).output_shape == (None, 16)
    with pytest.raises(TypeError, match="Expected changes to the config among"):
        kt.build(str(folder), width=3)
    with refused("Expected a task of an encoder"):
        kt.build(str(folder), kt.Translation())


@pytest.mark.parametrize("name", mostly_slow(["bert", "distilbert"], ["bert"]))
def test_pairs_with_and_without_segments(name, recwarn):
    texts, labels = ROWS
    rows = (texts, texts[::-1], labels)
    task = kt.Classification(pair=True)
    trained = kt.train(str(REFERENCES / name), task, train=rows, **{**OPTIONS, "max_length": 12})
    inputs = {tensor.name for tensor in trained.model.inputs}
    assert inputs == {"ids", "segment_ids"} - ({"segment_ids"} if name == "distilbert" else set())
    found = trained.predict(texts[:3], texts[3:6])
    same = kt.Runner(kt.convert(trained)).predict(texts[:3], texts[3:6])
    for one, other in zip(found, same, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
    assert not [str(warning.message) for warning in recwarn if "structure" in str(warning.message)]


@pytest.mark.slow
def test_students_and_teachers(folder, trained, tmp_path):
    student = kt.distill(
        trained, str(folder), train=ROWS, validation=ROWS, epochs=1, report=kt.Report()
    )
    model = student.recipe.model
    assert (model.name, model.published) == (
        trained.recipe.model.name, trained.recipe.model.published
    )  # fmt: skip
    small = {"num_layers": 1, "hidden_dim": 8, "num_heads": 2, "intermediate_dim": 8}
    student = kt.distill(
        trained, "bert_tiny", settings=small, train=ROWS, validation=ROWS, epochs=1,
        report=kt.Report(),
    )  # fmt: skip
    assert (student.recipe.model.name, student.recipe.model.published) == ("bert_tiny", {})
    shutil.copytree(folder, tmp_path / "other")
    words = (folder / "vocab.txt").read_text().replace("w3\n", "other\n")
    (tmp_path / "other/vocab.txt").write_text(words)
    with refused("Expected a student with the teacher's vocabulary, got another vocab.txt"):
        kt.distill(trained, str(tmp_path / "other"), train=ROWS, validation=ROWS)


def test_commands(folder, tmp_path):
    shown = json.loads(call("models", folder, "--json").stdout)
    assert (shown["family"], shown["as_it_is"], shown["licence"]) == ("bert", "embedding", "mit")
    assert shown["tasks"] == [
        "classification", "multi-label", "regression", "embedding", "token-classification",
        "question-answering", "masked-language-modeling", "multi-task",
    ]
    rows = call("models", folder).stdout.splitlines()
    assert any(row.split() == ["parameters", f"{shown['parameters']:,}"] for row in rows)
    result = call("convert", folder, "--out", tmp_path / "m.tflite")
    assert result.exit_code == 0, result.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    sentence = f"Error: Expected a published model with config.json in {empty}, got none."
    data = ["--train", __file__, "--validation", "0.5", "--out", tmp_path / "out"]
    for command in (["models", empty], ["train", empty, *data]):
        assert error_of(call(*command)) == (2, sentence)
    assert not (tmp_path / "out").exists()


def test_a_provenance_from_the_hub_keeps_its_owner(trained):
    from keras_transformer.edge.convert.provenance import provenance

    name = f"hf:a/b@{'0' * 40}"
    recipe = trained.recipe.replace(
        model=name, published={**trained.recipe.model.published, "source": name}
    )
    found = provenance(dataclasses.replace(trained, recipe=recipe))["recipe"]["model"]
    assert found["name"] == found["published"]["source"] == name
