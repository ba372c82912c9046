"""Rows of two kinds that match: the loss against NumPy, what is learned, and what is refused."""

import dataclasses
import json
import re

import keras
import numpy as np
import pytest
import scipy.special

import keras_transformer as kt
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.losses.vectors import contrastive_loss
from keras_transformer.zoo.tasks.matching.learner import MOST_SCALE, ContrastiveLearner
from keras_transformer.zoo.tasks.registry import task_from_json, tasks_for
from tests.matching import CAPTIONS, OPTIONS, pictures, train, trained
from tests.zoo.training.test_jax import trained_on_jax

TEST = pictures(30, 2)


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def test_the_loss():
    """Of five pairs two have a text in common, and two an image."""
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(5, 4)).astype("float32") for _ in range(2))
    first, second = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (first, second))
    ids = np.array([[0, 0], [1, 1], [2, 0], [1, 2], [3, 3]], "int32")
    logits = 7.0 * first.astype("float64") @ second.T
    for a, b in ((0, 2), (1, 3)):
        logits[a, b] = logits[b, a] = -np.inf
    expected = -np.mean([
        np.diag(scipy.special.log_softmax(one, axis=1)).mean() for one in (logits, logits.T)
    ])  # fmt: skip
    assert float(contrastive_loss(ids, first, second, 7.0)) == pytest.approx(expected, rel=1e-5)


def test_the_factor_is_learned_and_cut():
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((2,), name="b")}
    model = keras.Model(inputs, {"a": inputs["a"], "b": inputs["b"]})
    learner = ContrastiveLearner(model, 99.0)
    learner.compile(
        optimizer=keras.optimizers.SGD(1e3),
        loss=lambda ids, found, scale: contrastive_loss(ids, found["a"], found["b"], scale),
    )
    unit = np.array([[1, 0], [0.999, 0.0447]], "float32")
    learner.train_on_batch({"a": unit, "b": unit}, np.array([[0, 0], [1, 1]], "int32"))
    assert learner.scale == pytest.approx(MOST_SCALE, rel=1e-5)


def test_pictures_and_captions_get_similar_vectors(tmp_path):
    checkpoint = trained()
    found = checkpoint.metrics["validation"]
    assert found["mean_reciprocal_rank"] > 0.9 and "scale" not in found
    assert checkpoint.task.scale != kt.Contrastive().scale
    images, texts = checkpoint.embed(images=TEST["image"]), checkpoint.embed(texts=CAPTIONS)
    assert images.shape == (30, 16) and texts.shape == (6, 16)
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1.0, rtol=1e-5)
    right = [CAPTIONS.index(text) for text in TEST["text"]]
    assert np.mean((images @ texts.T).argmax(axis=1) == right) > 0.9
    measured = checkpoint.evaluate(TEST)
    assert (measured["rows"], measured["truncated"]) == (30, 0)
    assert measured["image_to_text_recall_at_1"] == pytest.approx(
        np.mean((images @ texts.T).argmax(axis=1) == right)
    )
    checkpoint.save(tmp_path / "saved")
    loaded = kt.load(tmp_path / "saved")
    assert dataclasses.asdict(loaded.task) == dataclasses.asdict(checkpoint.task)
    np.testing.assert_allclose(loaded.embed(images=TEST["image"]), images, atol=1e-6)
    [row] = loaded.predict([{"image": TEST["image"][0], "text": CAPTIONS[0]}])
    np.testing.assert_allclose(row["image"].vector, images[0], atol=1e-5)
    np.testing.assert_allclose(row["text"].vector, texts[0], atol=1e-5)


def test_labels_that_are_texts():
    checkpoint = trained()
    found = checkpoint.classify(TEST["image"], CAPTIONS)
    assert np.mean([one.label == text for one, text in zip(found, TEST["text"], strict=True)]) > 0.9
    images, texts = checkpoint.embed(images=TEST["image"]), checkpoint.embed(texts=CAPTIONS)
    expected = scipy.special.softmax(checkpoint.task.scale * images @ texts.T, axis=1)
    np.testing.assert_allclose([list(one.scores.values()) for one in found], expected, atol=1e-4)
    named = {
        color: [text for text in CAPTIONS if color in text] for color in ("red", "green", "blue")
    }
    colors = [one.label for one in checkpoint.classify(TEST["image"], named)]
    assert np.mean([color in text for color, text in zip(colors, TEST["text"], strict=True)]) > 0.9


@pytest.mark.slow
def test_quantized_training_keeps_the_factor():
    checkpoint = trained()
    followed = quantize(checkpoint, "dynamic_int8", epochs=1)
    assert followed.task.scale == checkpoint.task.scale
    assert followed.metrics["validation"]["mean_reciprocal_rank"] > 0.9


@pytest.mark.slow
def test_quantized_training_on_pairs_alone_learns_the_factor():
    learned = quantize(trained(), "int8", epochs=1, share=0.0)
    assert learned.task.scale != trained().task.scale
    assert learned.metrics["validation"]["mean_reciprocal_rank"] > 0.9


def test_a_plain_model():
    model = kt.build("cct_2+bert_tiny", kt.Contrastive(vector_dim=8), **OPTIONS["settings"])
    assert {name: tuple(one.shape) for name, one in model.output.items()} == {
        "image": (None, 8), "text": (None, 8)
    }  # fmt: skip
    assert {one.name for one in model.inputs} == {"pixels", "ids"}


def test_tasks_of_one_kind_of_rows():
    assert "contrastive" in tasks_for("encoder", "image+text")
    assert "contrastive" not in tasks_for("encoder", "image")
    value = json.loads(json.dumps(trained().task.to_json()))
    assert task_from_json(value, ()) == trained().task
    with refused("Expected scale to be a number from 0.01 to 100, got scale=1000."):
        task_from_json({**value, "scale": 1000}, ())
    with refused(
        "Expected a model of two kinds of rows for contrastive, such as cct_4+bert_tiny, got one "
        "of text."
    ):
        task_from_json({**value, "modality": "text"}, ())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "bert_tiny"}, "Expected a model of each of two kinds of rows for contrastive, "
         "such as cct_2+bert_tiny, got bert_tiny."),
        # A model of one kind is completed, and so gets further than the one above.
        ({"model": "cct_2", "image": "image", "text": "text", "fusion": "late"},
         "Expected no fusion for contrastive, which has an encoder of each kind, got "
         "fusion='late'."),
        ({"train": {"image": TEST["image"][:4], "text": ["a"] * 4}}, "train: expected pairs of at "
         "least two texts to tell apart, got one."),
        ({"label_smoothing": 0.1}, "Expected label_smoothing to be 0 for contrastive, got "
         "label_smoothing=0.1."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(options, message):
    settings = {} if "model" in options else OPTIONS["settings"]
    with refused(message):
        train(**{"settings": settings, **options})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: one.embed(["a"]), "Expected rows as one of images, texts, got rows without a "
         "name."),
        (lambda one: one.embed(), "Expected rows as one of images, texts, got none."),
        (lambda one: one.embed(sounds=["a"]), "Expected rows as one of images, texts, got sounds."),
        (lambda one: one.embed(images=[], texts=[]), "Expected rows as one of images, texts, got "
         "images, texts."),
        (lambda one: one.classify(TEST["image"], ["one"]), "Expected at least two labels, got "
         "'one'."),
        (lambda one: one.classify(TEST["image"], ["a", "b", "b"]), "Expected labels that differ, "
         "got 'b' more than once."),
        (lambda one: one.classify(TEST["image"], {"a": "b", "c": []}), "Expected texts of the "
         "label 'c', got []."),
        (lambda one: one.head("image").classify(TEST["image"], CAPTIONS), "Expected a model of "
         "texts and of another kind of rows, such as images, got one of embedding."),
        (lambda one: one.head("text").embed(texts=["a"]), "Expected rows without a name, which a "
         "model of embedding reads, got texts."),
        (lambda one: kt.compare(one, [], TEST), "Expected a model of one output to compare, got "
         "encoders of image, text; evaluate the checkpoint and each file instead."),
        (lambda one: kt.convert(one, target="onnx"), "Expected the target plain for a model with "
         "an encoder for each of image and text, got target=onnx; convert one of them, with --head "
         "image or --head text (load(...).head() in Python)."),
    ],
)  # fmt: skip
def test_calls_that_do_not_fit(call, message):
    with refused(message):
        call(trained())


@pytest.mark.slow
def test_training_on_jax(tmp_path):
    program = """
import json, sys
import keras_transformer as kt
from tests.matching import train
checkpoint = train(epochs=2, out=sys.argv[2])
import keras
print(json.dumps({"backend": keras.backend.backend(), "scale": checkpoint.task.scale,
                  "metrics": checkpoint.metrics["validation"]}))
"""
    said = trained_on_jax(program, trained().recipe, tmp_path)
    loaded = kt.load(tmp_path / "out")
    assert said["backend"] == "jax" and loaded.task.scale == said["scale"] != kt.Contrastive().scale
    found = loaded.evaluate(pictures(60, 1))
    assert found["mean_reciprocal_rank"] == pytest.approx(said["metrics"]["mean_reciprocal_rank"])


@pytest.mark.slow
def test_sounds_and_texts(tmp_path):
    """Low and high tones, with a text each, from training to a file."""
    rng, texts = np.random.default_rng(0), ["a low tone", "a high tone"]
    which = rng.integers(0, 2, 80)
    time = np.arange(800) / 8000
    tones = [
        (0.5 * np.sin(2 * np.pi * (300 if one == 0 else 2000) * time + rng.uniform(0, 6))
         ).astype("float32")
        for one in which
    ]  # fmt: skip
    rows = {"audio": tones, "text": [texts[one] for one in which]}
    settings = {
        **{name: value for name, value in OPTIONS["settings"].items() if "image" not in name},
        "audio.rate": 8000, "audio.samples": 800, "audio.frame": 240, "audio.hop": 80,
        "audio.patch_frames": 1,
    }  # fmt: skip
    checkpoint = train(
        model="kwt_tiny+bert_tiny", train=rows, validation=rows, settings=settings, epochs=8
    )
    runner = kt.Runner(kt.convert(checkpoint, "int8", calibration=rows))
    assert runner.head_names == ("audio", "text")
    found = runner.classify(tones[:10], texts)
    assert [one.label for one in found] == rows["text"][:10]
    assert runner.embed(sounds=tones[:2]).shape == (2, 16)
