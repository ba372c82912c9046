"""Files of two encoders: a signature for each and one for both, and the checkpoint's vectors."""

import re

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import keras_transformer as kt
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.zoo.errors import InputError
from tests.edge.converted import converter
from tests.matching import CAPTIONS, pictures, trained

TEST = pictures(20, 2)
# Smallest cosines of the file's vectors with the checkpoint's; parity has held the layers already.
NEAREST = {"float32": 1 - 1e-5, "float16": 0.999, "dynamic_int8": 0.98, "int8": 0.95,
           "integer": 0.9}  # fmt: skip
SLOW = [pytest.param(one, marks=pytest.mark.slow) for one in ("float16", "dynamic_int8", "integer")]


@pytest.fixture(scope="module")
def file():
    """Converts to a precision, each only once; float32 has two lengths."""
    longest = trained().max_length
    return converter(trained, pictures(60, 3), lengths=[8, longest])


@pytest.mark.parametrize("precision", ["float32", "int8", *SLOW])
def test_a_file_embeds_as_its_checkpoint(file, precision):
    runner, checkpoint = kt.Runner(file(precision)), trained()
    for given in ({"images": TEST["image"]}, {"texts": CAPTIONS}):
        found, expected = runner.embed(**given), checkpoint.embed(**given)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-3)
        assert (found * expected).sum(axis=1).min() > NEAREST[precision]
    assert runner.decision == {"scale": checkpoint.task.scale}
    both = zip(
        *(one.classify(TEST["image"], CAPTIONS) for one in (runner, checkpoint)), strict=True
    )
    assert np.mean([one.label == other.label for one, other in both]) >= 0.95
    measured, known = kt.evaluate(runner, TEST), checkpoint.evaluate(TEST)
    assert measured["mean_reciprocal_rank"] == pytest.approx(
        known["mean_reciprocal_rank"], abs=0.05
    )


def test_other_targets_take_one_encoder():
    whose = "Expected the target plain for a model with an encoder for each of image and text, got"
    for target, advice in (
        ("mediapipe", "convert one of them, with --head image or --head text (load"),
        ("text", "convert one of them, with --head text (load"),
        ("litertlm", "it takes none of them alone: of --head image: Expected a decoder, which"),
    ):
        said = f"{whose} target={target}; {advice}"
        with pytest.raises(InputError, match=f"^{re.escape(said)}"):
            kt.convert(trained(), target=target)
    with pytest.raises(InputError, match="Expected a model of texts .* text, got one of images; "):
        kt.convert(trained().head("image"), target="text")


@pytest.mark.parametrize("blank", ["", " \t"])
def test_blank_texts_are_none(file, blank):
    for model in (kt.Runner(file("float32")), trained()):
        with pytest.raises(InputError, match="Expected a text in each row, got .* in place 2"):
            model.embed(texts=[CAPTIONS[0], blank])
        with pytest.raises(InputError, match="in place 1"):
            model.head("text").predict([blank])


def test_signatures_are_of_each_kind_and_of_both(file):
    interpreter = Interpreter(model_content=unpack(bytes(file("float32")))[0])
    signatures = interpreter.get_signature_list()
    assert set(signatures) == {
        f"{name}{suffix}" for name in ("predict", "image", "text") for suffix in ("", "_8")
    }
    assert signatures["image"] == {"inputs": ["pixels"], "outputs": ["output"]}
    assert signatures["text"] == {"inputs": ["ids"], "outputs": ["output"]}
    ids = np.zeros((1, trained().max_length), "int32")
    ids[0, :3] = [2, 7, 3]
    found = interpreter.get_signature_runner("predict")(pixels=TEST["image"][0][None], ids=ids)
    whole = trained().model({"pixels": TEST["image"][0][None], "ids": ids})
    for name in ("image", "text"):
        np.testing.assert_allclose(found[name], whole[name], atol=1e-5)
    alone = interpreter.get_signature_runner("text")(ids=ids)["output"]
    np.testing.assert_allclose(alone, found["text"], atol=1e-5)


@pytest.mark.parametrize("target", ["plain", "mediapipe"])
def test_one_encoder_is_a_file_of_its_own(target):
    alone = kt.Runner(kt.convert(trained().head("image"), target=target))
    np.testing.assert_allclose(
        alone.embed(TEST["image"]), trained().embed(images=TEST["image"]), atol=1e-5
    )
    assert alone.embed([]).shape == (0, 16) and alone.head_names == ()
