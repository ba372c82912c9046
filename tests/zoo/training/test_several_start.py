"""Runs on rows of several kinds that begin with a trained encoder of one."""

import re

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from tests.slow import mostly_slow
from tests.zoo.modalities.asked import QUESTIONS, SMALL, asked
from tests.zoo.models.test_resized_positions import Notes

TEXT = {"hidden_dim": 12, "intermediate_dim": 16, "num_layers": 2, "num_heads": 2}
IMAGE = {name: value for name, value in SMALL.items() if name.startswith("image.")}
# One step at a rate that changes no weight.
STILL = {"steps": 1, "epochs": 1, "learning_rate": 1e-20, "warmup": 0.0}


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "asked"
    rows = ([*QUESTIONS] * 20, ["a", "b"] * 20)
    kt.train(
        "bert_tiny", train=rows, validation=0.2, settings=TEXT, out=path, max_length=16,
        tokenizer="characters", **STILL,
    )  # fmt: skip
    return path


def trained(name, fusion="cross", **options):
    return kt.train(
        name, train=asked(40), validation=asked(20, 1), fusion=fusion,
        settings={**IMAGE, "image.num_layers": 1}, **STILL, **options,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fusion", mostly_slow(["cross", "late"], ["cross"]))
def test_the_text_begins_with_trained_weights(text_model, fusion):
    made = trained(f"cct_2+{text_model}", fusion)
    expected, found = get_weights(kt.load(text_model).model), get_weights(made.model)
    taken = [path for path in expected if f"text_{path}" in found]
    assert any("block_1" in path for path in taken) and "token_embedding/embeddings" in taken
    for path in taken:
        own = found[f"text_{path}"]  # of a table of positions the first ones
        np.testing.assert_allclose(own, expected[path][: len(own)], atol=1e-12, err_msg=path)
    assert made.tokenizer.vocabulary == kt.load(text_model).tokenizer.vocabulary
    origin = made.recipe.model.published
    assert origin["source"] == str(text_model) and origin["from_nothing"]
    assert {name.partition("/")[0] for name in origin["sha256"]} == {"text"}
    assert made.predict([{"image": asked(1)[0]["image"][0], "text": QUESTIONS[0]}])


def test_a_model_of_several_kinds_begins_a_run(tmp_path):
    settings = {**SMALL, "image.width": 12}
    first = kt.train(
        "cct_2+bert_tiny", train=asked(40), validation=asked(20, 1), settings=settings,
        out=tmp_path / "first", **STILL,
    )  # fmt: skip
    notes = Notes()
    more = {"image.width": 16}
    made = [
        kt.train(
            str(tmp_path / "first"), train=asked(40), validation=asked(20, 1), settings=changes,
            report=notes, **STILL,
        )
        for changes in ({}, more)
    ]  # fmt: skip
    before = get_weights(first.model)
    for one in made:
        assert one.tokenizer.vocabulary == first.tokenizer.vocabulary
        assert one.recipe.model.published["from_nothing"]
        after = get_weights(one.model)
        assert after.keys() == before.keys()
        for path, value in before.items():
            if one is made[0] or "patch_positions" not in path:
                own = after[path]  # of the text's table of positions the first ones
                np.testing.assert_allclose(own, value[: len(own)], atol=1e-12, err_msg=path)
    assert any("of 4 x 6 places are interpolated to 4 x 8" in note for note in notes.notes)
    assert made[1].config.members["image"].max_length == 32
    made[1].save(tmp_path / "second")
    assert kt.load(tmp_path / "second").evaluate(asked(20, 1))["rows"] == 20
    for name, options, got in (
        (f"{tmp_path}/first+kwt_tiny", {}, f"got {tmp_path}/first, which reads image+text"),
        (str(tmp_path / "first"), {"fusion": "cross"}, "got none"),
    ):
        with pytest.raises(InputError, match=re.escape(got)):
            kt.train(name, train=asked(40), validation=asked(20, 1), **STILL, **options)


def test_what_a_run_cannot_begin_with(text_model):
    for name, options, got in (
        (f"cct_2+{text_model}", {"fusion": "joint", "tokenizer": "bytes"}, "tokenizer='bytes'"),
        (f"cct_2+{text_model}", {"vocab_size": 200}, "got vocab_size=200"),
        (f"cct_2+bert_tiny+{text_model}", {}, "got two of text"),
        (f"{text_model}+{text_model}", {}, "got two of text"),
        (f"{text_model}+", {}, f"each +, got '{text_model}+'"),
        (f"{text_model}+{text_model}x", {}, f"{text_model}x"),
    ):
        with pytest.raises((InputError, FileNotFoundError), match=re.escape(got)):
            trained(name, **options)
    same = {**IMAGE, **{f"image.{name}": value for name, value in TEXT.items()}}
    with pytest.raises(InputError, match="got fusion='joint'"):
        kt.train(
            f"cct_2+{text_model}", train=asked(40), validation=asked(20, 1), fusion="joint",
            settings=same, **STILL,
        )  # fmt: skip
