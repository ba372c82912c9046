"""Published models with a part of their vocabulary: the same outputs for the texts of that part."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.models.running.predict import model_inputs
from keras_transformer.zoo.prune_vocabulary import pruning_note, read_texts
from keras_transformer.zoo.recipe import Recipe
from tests.cli.calls import call, error_of
from tests.slow import mostly_slow
from tests.zoo.pretrained.tiny import REFERENCES

REAL = Path(os.environ.get("KERAS_TRANSFORMER_REAL", "absent"))
# w0 w1 ... are the words of the references' vocabulary.
TEXTS = ["w1 w2 w31", "w7", "w9 w1 w58 w7 w2 w2"]
TRAIN = (["w11 w12", "w13"] * 8, ["a", "b"] * 8)
OPTIONS = {"train": TRAIN, "validation": 0.25, "epochs": 1, "max_length": 8, "report": kt.Report()}
# Tied and untied heads, biases of logits, and padding that is no row of the published table.
FAMILIES = ("bert", "bert_classes", "albert", "gpt2", "llama", "t5_untied", "marian")


def refused(sentence, kind=kt.InputError):
    return pytest.raises(kind, match=re.escape(sentence))


def renumbered(whole, pruned):
    """The ids of a whole vocabulary that a pruned one has, in its order."""
    ids = {piece: i for i, piece in enumerate(whole.vocabulary)}
    return np.array([ids[piece] for piece in pruned.vocabulary])


def check_same(whole, pruned, texts=TEXTS):
    """The same ids but for their numbers, and the same outputs."""
    ids = renumbered(whole.tokenizer, pruned.tokenizer)
    before, after = whole.tokenizer.pieces(texts), pruned.tokenizer.pieces(texts)
    assert [ids[row].tolist() for row in after] == before
    assert pruned.config.vocab_size == len(ids) < whole.config.vocab_size
    inputs = model_inputs(pruned.model, pruned.probes)
    outputs = np.asarray(pruned.model(inputs))
    expected = np.asarray(whole.model({
        name: ids[value] if name.endswith("ids") and name != "segment_ids" else value
        for name, value in inputs.items()
    }))  # fmt: skip
    expected = expected[..., ids] if whole.task.generates else expected
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


@pytest.mark.parametrize(
    "name", mostly_slow(FAMILIES, ["bert_classes", "albert", "gpt2", "marian"])
)
def test_outputs_stay_the_same(name, tmp_path):
    whole = kt.load(REFERENCES / name)
    pruned = kt.load(REFERENCES / name, prune_vocabulary=TEXTS)
    check_same(whole, pruned)
    # Both ways lead to the same model: rows that are not read, and rows that are left out.
    later = kt.load(_saved(whole, tmp_path), prune_vocabulary=TEXTS)
    weights = get_weights(later.model)
    assert {*weights} == {*get_weights(pruned.model)}
    for path, value in get_weights(pruned.model).items():
        np.testing.assert_array_equal(value, weights[path])
    assert later.modality.files() == pruned.modality.files()
    assert later.recipe == pruned.recipe
    # Words without a row are read, as unknown here.
    assert pruned.tokenizer.pieces(["w50 w1"])[0][0] == pruned.tokenizer.unk_id


def _saved(checkpoint, folder):
    checkpoint.save(folder / "saved")
    return folder / "saved"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "precision"), mostly_slow(
        [("bert", "float32"), ("bert", "dynamic_int8"), ("gpt2", "float32")],
        [("bert", "dynamic_int8")],
    ),
)
def test_the_file_is_of_the_pruned_model(name, precision, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join([*TEXTS, "", " "]))
    whole = kt.load(REFERENCES / name)
    artifact = kt.convert(whole, precision, prune_vocabulary=texts)
    artifact.save(tmp_path / "pruned.tflite")
    kt.convert(whole, precision).save(tmp_path / "whole.tflite")
    pruned, other = (kt.Runner(tmp_path / f"{one}.tflite") for one in ("pruned", "whole"))
    if name == "bert":
        found, expected = (one.outputs(TEXTS).scores for one in (pruned, other))
        # A table's rows are rounded on a grid of the largest number, which may leave.
        atol = 1e-6 if precision == "float32" else 0.05
        np.testing.assert_allclose(found, expected, atol=atol)
    else:
        kept, prompts = kt.load(REFERENCES / name, prune_vocabulary=texts), ["w1 w2", "w9"]
        assert pruned.generate(prompts, max_tokens=4) == kept.generate(prompts, max_tokens=4)
    # What the file says of itself.
    kept = pruned.tokenizer.vocab_size
    assert pruned.description["model"]["vocab_size"] == kept < 64
    recipe = pruned.description["provenance"]["recipe"]["tokenizer"]
    assert (recipe["prune_vocabulary"], recipe["pruned"]["kept"]) == ("texts.txt", kept)
    # The whole one has no such line.
    [line] = [
        line for line in (tmp_path / "MODEL_CARD.md").read_text().splitlines()
        if line.startswith("| vocabulary |")
    ]  # fmt: skip
    assert line == (
        f"| vocabulary | {kept} of 64 pieces, those of texts.txt; other texts are read in smaller "
        "pieces |"
    )


@pytest.mark.slow
def test_training_counts_the_training_rows(tmp_path, monkeypatch):
    from keras_transformer.zoo.training import train_recipe

    texts, folder = tmp_path / "texts.txt", REFERENCES / "bert"
    texts.write_text("\n".join(TEXTS))
    notes, first, fit = [], {}, train_recipe.Fit

    class Report(kt.Report):
        def note(self, text):
            notes.append(text)

    def start(model, *args, **options):
        first.update(get_weights(model))
        return fit(model, *args, **options)

    monkeypatch.setattr(train_recipe, "Fit", start)
    options = {**OPTIONS, "report": Report()}
    trained = kt.train(str(folder), prune_vocabulary=texts, **options)
    whole = kt.load(folder)
    check_same(whole, kt.load(folder, prune_vocabulary=[*TEXTS, "w11 w12 w13"]))
    ids = renumbered(whole.tokenizer, trained.tokenizer)
    words = {"w11", "w12", "w13", *" ".join(TEXTS).split()}
    assert {*trained.tokenizer.vocabulary} == {*whole.tokenizer.vocabulary[:5], *words}
    published = get_weights(whole.model)
    for path, value in first.items():
        if not path.startswith("head/"):
            rows = published[path]
            rows = rows[ids] if path == "token_embedding/embeddings" else rows
            np.testing.assert_array_equal(value, rows)
    parameters = (64 - len(ids)) * 16
    assert notes[0] == pruning_note(trained.recipe) == (
        f"The vocabulary is pruned to texts.txt and the training rows: 64 -> {len(ids)} pieces, "
        f"{parameters * 4 / 1e6:.1f} MB less in float32."
    )
    assert trained.recipe.tokenizer.pruned == {
        "sha256": read_texts(TEXTS).digest, "pieces": 64, "kept": len(ids),
        "parameters": parameters, "after_training": False,
    }  # fmt: skip
    assert Recipe.from_json(trained.recipe.to_json()) == trained.recipe
    # From its recipe the run is the same.
    repeated = kt.train(trained.recipe, train=TRAIN, report=kt.Report())
    assert repeated.recipe == trained.recipe
    for path, value in get_weights(trained.model).items():
        np.testing.assert_allclose(value, get_weights(repeated.model)[path], atol=1e-5)
    quantized = kt.quantize(trained, precision="int8", epochs=1, report=kt.Report())
    assert quantized.recipe.tokenizer == trained.recipe.tokenizer
    _check_refusals(trained, quantized, texts)


def _check_refusals(trained, quantized, texts):
    """Errors of a trained checkpoint, a quantized one and a recipe."""
    with refused("Expected a model with its whole vocabulary to prune, got one that has 14 of 64 "):
        kt.convert(trained, prune_vocabulary=TEXTS)
    with refused("Expected a float checkpoint to prune the vocabulary of, got one of precision="):
        kt.convert(quantized, prune_vocabulary=TEXTS)
    with pytest.raises(TypeError, match="^Expected changes .* got prune_vocabulary='texts.txt'"):
        kt.quantize(trained, prune_vocabulary="texts.txt", report=kt.Report())
    texts.write_text("w1\n")
    with refused(f"Expected {texts} to hold the texts of the recipe (SHA-256 "):
        kt.train(trained.recipe, train=TRAIN, report=kt.Report())
    other = kt.train(trained.recipe, train=TRAIN, prune_vocabulary=texts, report=kt.Report())
    assert other.config.vocab_size == 5 + len(["w1", "w11", "w12", "w13"])
    known = trained.recipe.tokenizer.pruned
    memory = trained.recipe.replace(prune_vocabulary="", pruned=known)
    with refused("The texts that the vocabulary was pruned to were in memory (SHA-256 "):
        kt.train(memory, train=TRAIN, report=kt.Report())
    # A run whose vocabulary was pruned afterwards is repeated with the whole one.
    after = trained.recipe.replace(pruned={**known, "after_training": True})
    assert kt.train(after, train=TRAIN, report=kt.Report()).config.vocab_size == 64
    with refused("Expected pruned to hold sha256, pieces, kept, parameters, after_training, got "):
        trained.recipe.replace(pruned={**known, "kept": "7"})


@pytest.mark.slow
def test_texts_in_memory_and_a_model_from_nothing():
    trained = kt.train(str(REFERENCES / "bert"), prune_vocabulary=TEXTS, **OPTIONS)
    tokenizer = trained.recipe.tokenizer
    assert (tokenizer.prune_vocabulary, tokenizer.pruned["kept"]) == ("", 14)
    assert "pruned to the given texts and the training rows" in pruning_note(trained.recipe)
    with refused("Expected prune_vocabulary only for a published model, whose vocabulary is not "):
        kt.train("bert_tiny", prune_vocabulary=TEXTS, **OPTIONS)
    with pytest.raises(TypeError, match="^Expected the options of a run among .* got pruned="):
        kt.train("bert_tiny", pruned={}, **OPTIONS)


def test_texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeffone\r\ntwo\n\n three \n".encode())
    found = read_texts(path)
    assert (found.texts, found.file) == (["one", "two", " three "], str(path))
    assert found.digest == read_texts(("one", "two", "", " three ")).digest
    path.write_bytes(b"one\n\xff\n")
    with refused(f"{path}, line 2: the file is not UTF-8"):
        read_texts(path)
    path.write_bytes(b"\n \n")
    with refused(f"{path}: expected text, the file is empty."):
        read_texts(path)
    with refused("Expected prune_vocabulary to hold texts, got none."):
        read_texts([" "])
    with pytest.raises(TypeError, match="^Expected prune_vocabulary to hold strings, got 3"):
        read_texts(["a", 3])
    with pytest.raises(FileNotFoundError):
        read_texts(tmp_path / "absent.txt")


@pytest.mark.slow
def test_commands(tmp_path):
    texts, table = tmp_path / "texts.txt", tmp_path / "train.tsv"
    texts.write_text("\n".join(TEXTS))
    table.write_text("text\tlabel\n" + "".join(f"{a}\t{b}\n" for a, b in zip(*TRAIN, strict=True)))
    folder = REFERENCES / "bert"
    result = call(
        "convert", folder, "--prune-vocabulary", texts, "--out", tmp_path / "m.tflite"
    )
    assert result.exit_code == 0, result.stderr
    assert "Note: The vocabulary is pruned to texts.txt: 64 -> 11 pieces, " in result.stderr
    assert kt.Runner(tmp_path / "m.tflite").tokenizer.vocab_size == 11
    options = ["--validation", "0.25", "--epochs", "1", "--prune-vocabulary", texts]
    result = call("train", folder, "--train", table, *options, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert json.loads((tmp_path / "out/config.json").read_text())["model"]["vocab_size"] == 14
    repeated = tmp_path / "again"
    shutil.copy(tmp_path / "out/recipe.json", tmp_path / "recipe.json")
    result = call("train", "--recipe", tmp_path / "recipe.json", "--out", repeated)
    assert result.exit_code == 0, result.stderr
    assert kt.load(repeated).recipe == kt.load(tmp_path / "out").recipe
    texts.write_text("")
    found = call("convert", folder, "--prune-vocabulary", texts, "--out", tmp_path / "n.tflite")
    assert error_of(found) == (
        2, f"Error: {texts}: expected text, the file is empty."
    )  # fmt: skip
    with refused("Expected a checkpoint or a published model to prune the vocabulary of, got the"):
        kt.load(tmp_path / "m.tflite", prune_vocabulary=TEXTS)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs published weights")
def test_published_weights():
    [folder] = REAL.glob("gt_*/*/model")
    texts = ["how would you say fly in italian", "what's the spanish word for pasta"]
    whole, pruned = kt.load(folder), kt.load(folder, prune_vocabulary=texts)
    assert pruned.config.vocab_size < 250 < whole.config.vocab_size == 30522
    np.testing.assert_allclose(
        pruned.outputs(texts).scores, whole.outputs(texts).scores, atol=1e-6
    )
    unknown = pruned.tokenizer.unk_id
    assert pruned.tokenizer.pieces(["東"]) == [[unknown]] != whole.tokenizer.pieces(["東"])
