"""The example of the documentation, run line by line, and mistakes at the front door."""

import pathlib
import random
import re

import keras
import numpy as np
import pytest

import keras_transformer as kt
from tests.zoo import tiny

GOOD = ("a charming film", "a fine story", "good acting", "so very good", "a lovely film")
SHAPE = {"settings": tiny.SETTINGS, "max_length": 16, "vocab_size": 100}
BAD = ("a dull film", "a boring story", "bad acting", "so very bad", "an awful film")


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    """Texts and labels in memory, and two tables of them in the working folder."""
    monkeypatch.chdir(tmp_path)
    rows = [(text, "good") for text in GOOD] + [(text, "bad") for text in BAD]
    for name in ("dev.tsv", "test.tsv"):
        lines = ["text\tlabel", *(f"{text}\t{label}" for text, label in rows * 2)]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    texts, labels = zip(*rows * 8, strict=True)
    return list(texts), list(labels)


@pytest.mark.slow
def test_the_example(reviews):
    texts, labels = reviews

    assert "bert_tiny" in repr(kt.models())
    task = kt.Classification(labels=["bad", "good"])
    model = kt.build("bert_tiny", task)
    model.compile(optimizer="adam", loss=task.loss())
    model.fit({"ids": np.ones((2, 4), "int32")}, np.array([0, 1]), verbose=0)
    model.save("model.keras")
    again = keras.models.load_model("model.keras", compile=False)
    ids = {"ids": np.array([[2, 7, 3]])}
    np.testing.assert_allclose(again.predict(ids, verbose=0), model.predict(ids, verbose=0))

    states = random.getstate(), np.random.get_state()[1].tolist()
    ckpt = kt.train(
        "bert_tiny", task, train=(texts, labels), validation="dev.tsv", epochs=3, **SHAPE
    )
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    ckpt.save("sentiment")
    loaded = kt.load("sentiment")
    np.testing.assert_allclose(loaded.scores(GOOD), ckpt.scores(GOOD), rtol=1e-4, atol=1e-5)
    assert len(ckpt.predict(["a charming film"])) == 1
    assert ckpt.labels == ("bad", "good")
    assert (ckpt.recipe.data.train, len(ckpt.recipe.data.digest)) == ("", 64)
    assert "accuracy" in repr(ckpt.evaluate("test.tsv"))
    assert ckpt.evaluate((texts, labels))["rows"] == 80

    small = kt.prune(ckpt, heads=1, epochs=1)
    student = kt.distill(ckpt, "bert_tiny", epochs=1, settings=tiny.SETTINGS)
    int8 = kt.quantize(ckpt, "int8", epochs=1)
    for made in (small, student, int8):
        assert made.rows["train"] is ckpt.rows["train"]
        assert made.recipe.data.digest == ckpt.recipe.data.digest

    file = kt.convert(int8, "int8", target="plain")
    file.save("m.tflite")
    assert bytes(file) == pathlib.Path("m.tflite").read_bytes()
    assert file.parity.rows == 20
    assert "int8" in file.card()
    expected = kt.Runner(file).predict(["a charming film"])
    for source in ("m.tflite", bytes(file)):
        assert kt.Runner(source).predict(["a charming film"]) == expected
    compared = kt.compare(int8, file, "test.tsv")
    assert compared == kt.compare(int8, file, zip(texts[:20], labels[:20], strict=True))
    assert kt.benchmark(file, runs=2).files[0].precision == "int8"

    # What came from memory is not in the folder.
    with pytest.raises(kt.InputError, match=r"^The training data was in memory .*train= in Python"):
        kt.quantize(loaded, "int8")
    given = {"train": (texts, labels), "validation": "dev.tsv", "epochs": 1}
    tiny.assert_same_weights(*(
        {one.path: one.numpy() for one in made.model.weights}
        for made in (kt.quantize(loaded, "int8", **given), int8)
    ))  # fmt: skip
    kt.convert(loaded, "int8", calibration=(texts,))


def test_a_translator(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [(f"{a} {b}", f"{b} {a}".upper()) for a in tiny.FILLERS[:5] for b in tiny.FILLERS[:4]]
    sources, targets = zip(*words, strict=True)
    translator = kt.train(
        "transformer_tiny", kt.Translation(), train=(sources, targets), validation=0.1,
        settings=tiny.SETTINGS, epochs=1, tokenizer="characters",
    )  # fmt: skip
    assert len(translator.generate(["the box"], beams=5, max_tokens=6)) == 1
    assert [len(translator.rows[name]) for name in ("train", "validation")] == [18, 2]
    assert list(tmp_path.iterdir()) == []


NAN = float("nan")
ROWS = (["a", "b"], ["bad", "good"])


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"train": ("a film", ["bad"])}, TypeError, "got one string 'a film'; put it in a list"),
        ({"train": (["a"], ["bad", "good"])}, ValueError, "got 1 of 'text' and 2 of 'label'"),
        ({"train": iter(())}, ValueError, "Expected at least one row in train, got none."),
        ({"train": (["a", "b"], np.array([1.0, NAN]))}, ValueError, "train, row 2: .* got nan"),
        ({"train": 7}, TypeError, "Expected train to be a path, columns or rows, got int 7."),
        ({"train": None}, ValueError, "Expected train to be a path or data in memory, got train="),
        ({"validation": None}, ValueError, "or a share such as 0.1, got validation=None"),
        ({"validation": 1.5}, ValueError, "a share between 0 and 1, got validation=1.5"),
        ({"epoch": 3}, TypeError, "Expected the options of a run among .*epochs.*, got epoch=3."),
        ({"sparsity": 0.5}, TypeError, "Expected the options of a run .*, got sparsity=0.5."),
        ({"task": 7}, TypeError, "Expected a task such as .*, got task=7."),
        ({"task": "tagging"}, ValueError, "Expected task to be one of .*, got task='tagging'."),
        ({"task": "regression", "labels": ["a"]}, ValueError, "Expected no labels for regression"),
        ({"labels": "ab"}, ValueError, "Expected labels to be a list of text, got labels='ab'."),
        ({"model": 7}, TypeError, "Expected a name of the catalogue, .*, got model=7."),
        ({"model": "bert"}, ValueError, "'bert'"),
    ],
)
def test_mistakes(given, kind, message):
    with pytest.raises(kind) as caught:
        kt.train(**{"model": "bert_tiny", "train": ROWS, "validation": ROWS, **given})
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)
