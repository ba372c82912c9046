"""Specs, features and the checks of modalities."""

import contextlib

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.modalities.registry import MODALITIES, modality_named
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.inputs import EMBEDDINGS
from keras_transformer.zoo.tasks.translation import Translation
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.zoo import tiny
from tests.zoo.modalities.toy_embeddings import embed_series
from tests.zoo.modalities.toy_modalities import Picture, Series

FRAMES = InputSpec(name="frames", dtype="float32", shape=(None, 2), padding=-1.0)
PIXELS = InputSpec(name="pixels", dtype="uint8", shape=(2, 3), positions=5)
TEXT = Text(tokenizer=Tokenizer(TokenizerConfig(kind="bytes")), max_length=8)
SERIES = Series(max_length=3, settings={"width": 2})


@contextlib.contextmanager
def refused(message, kind=InputError):
    with pytest.raises(kind) as caught:
        yield
    assert str(caught.value) == message


def test_a_spec_pads_rows():
    rows = [np.full((1, 2), 7.0), np.full((3, 2), 8.0)]
    padded = FRAMES.pad(rows)
    assert (padded.shape, padded.dtype) == ((2, 3, 2), np.float32)
    np.testing.assert_array_equal(padded[0], [[7, 7], [-1, -1], [-1, -1]])
    np.testing.assert_array_equal(FRAMES.fit(padded, 2), padded[:, :2])
    assert FRAMES.fit(padded, 4)[1, 3].tolist() == [-1, -1]
    pictures = PIXELS.pad([np.ones((2, 3))] * 2)
    assert (pictures.shape, pictures.dtype) == ((2, 2, 3), np.uint8)
    assert PIXELS.fit(pictures, 1).shape == (2, 2, 3)
    assert (FRAMES.size(1, "T"), PIXELS.size("B", "T")) == ((1, "T", 2), ("B", 2, 3))
    with refused("Expected length to be at least the longest row's 3, got length=2.", ValueError):
        FRAMES.pad(rows, 2)
    with refused(
        "Expected only the first size of an input to vary, got shape=(2, None) of frames."
    ):
        InputSpec(name="frames", shape=(2, None))


def test_batches_are_as_their_specs_say():
    rng = np.random.default_rng(0)
    columns = {
        "frames": [rng.normal(size=(n, 2)).astype("float32") for n in (1, 4, 2, 5)],
        "pixels": [rng.integers(0, 255, (2, 3)).astype("uint8") for _ in range(4)],
    }
    batches = Batches(columns, np.arange(4), specs=(FRAMES, PIXELS), batch_tokens=10)
    seen = []
    for batch in batches.in_order():
        frames, pixels = batch.inputs["frames"], batch.inputs["pixels"]
        assert (frames.dtype, pixels.dtype) == (np.float32, np.uint8)
        # A picture fills 5 positions, so that 2 rows fill a batch.
        assert len(frames) <= 2
        for row, number in enumerate(batch.index):
            given = columns["frames"][number]
            np.testing.assert_array_equal(frames[row, : len(given)], given)
            assert (frames[row, len(given) :] == -1).all()
            np.testing.assert_array_equal(pixels[row], columns["pixels"][number])
            seen.append(int(number))
    assert sorted(seen) == [0, 1, 2, 3]
    other = {**columns, "pixels": columns["pixels"][::-1]}
    again = Batches(other, np.arange(4), specs=(FRAMES, PIXELS), batch_tokens=10)
    assert again.fingerprint() != batches.fingerprint()


def test_text_is_a_modality():
    rows, pairs = TEXT.checked(["abc", "abcdefghi"], ["d", "e"])
    single, both = TEXT.encode(rows), TEXT.encode(rows, pairs)
    assert single.truncated == [False, True] and single.num_truncated == 1
    assert list(single.of(TEXT.inputs())) == ["ids"]
    padded = both.pad(TEXT.inputs(pair=True), 8)
    assert {name: array.shape for name, array in padded.items()} == {
        "ids": (2, 8), "segment_ids": (2, 8)
    }  # fmt: skip
    assert TEXT.num_real(single.pad(TEXT.inputs(), 8)).tolist() == [5, 8]
    assert TEXT.num_real({"ids": np.zeros((1, 4), "int32")}).tolist() == [1]
    again = Text.from_files(TEXT.files(), max_length=8, settings={})
    np.testing.assert_array_equal(again.encode(rows).columns["ids"][0], single.columns["ids"][0])
    assert TEXT.model_settings() == {"vocab_size": 261}


def test_rows_of_one_shape_are_real_throughout():
    picture = Picture(max_length=4)
    arrays = picture.encode([np.zeros((8, 8, 3))]).pad(picture.inputs())
    assert picture.num_real(arrays).tolist() == [4]
    assert (picture.files(), picture.beside(arrays), picture.model_settings()) == ({}, {}, {})
    assert picture.misfit({}) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: modality_named("smell"), "Expected modality to be one of "
         f"{', '.join(MODALITIES)}, or several of them such as image+text, got modality='smell'."),
        (lambda: SERIES.checked([1], [2]), "Expected no pairs of series, got pairs."),
        (lambda: SERIES.inputs(pair=True), "Expected single rows of the modality series, got "
         "pairs."),
        (lambda: Series.specs({"height": 1}), "Expected the settings of the modality series to be "
         "width, got {'height': 1}."),
        (lambda: Text.specs({"width": 1}), "Expected the settings of the modality text to be none, "
         "got {'width': 1}."),
        (lambda: Translation().reading("series"), "Expected a model that reads text for "
         "translation, got 'series'."),
        (lambda: tiny.config(vocab_size=0), "Expected vocab_size to be at least 1 for a model of "
         "text, got vocab_size=0."),
        (lambda: tiny.config(modality="series"), "Expected vocab_size to be 0 where no text is "
         "read, got vocab_size=20."),
        (lambda: tiny.config("decoder", modality="series"), "Expected the architecture of a "
         "model that reads series to be encoder, got architecture='decoder'."),
        (lambda: tiny.config(modality_settings=3), "Expected modality_settings to be values by "
         "name, got modality_settings=3."),
    ],
)  # fmt: skip
def test_mistakes(call, message):
    with refused(message):
        call()


def test_a_config_says_its_modality():
    config = tiny.config(vocab_size=0, modality="series", modality_settings={"width": 2})
    assert TransformerConfig.from_json(config.to_json()) == config
    assert not {"modality", "modality_settings"} & set(tiny.config().to_json())


def test_options_of_text_alone(monkeypatch):
    monkeypatch.setitem(MODALITIES, "series", Series)
    monkeypatch.setitem(EMBEDDINGS, "series", embed_series)
    config = tiny.config(vocab_size=0, modality="series", modality_settings={"width": 2})
    rows = [np.zeros((2, 2), "float32")] * 4, ["a", "b"] * 2
    for name in ("token_dropout", "piece_dropout"):
        with refused(f"Expected {name} to be 0 for a model that reads series, got {name}=0.1."):
            kt.train(config, kt.Classification(), train=rows, validation=rows, **{name: 0.1})


def test_unknown_tokens_of_texts_and_pairs():
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a")
    text = Text(tokenizer=Tokenizer(TokenizerConfig(), pieces), max_length=8)
    assert text.unknown(["a a", "x a", "x", ""]) == [0, 0.5, 1, 0]
    assert text.unknown(["a", "x"], ["a x x", "x"]) == [0.5, 1]
    assert TEXT.unknown(["a"]) is None
