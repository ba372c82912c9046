"""A file with a published tokenizer of each kind reads and writes texts as the Keras model does."""

import dataclasses

import numpy as np
import pytest

from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer
from tests.edge.generators import generator
from tests.edge.models import random_model
from tests.fuzz.published import FORMS
from tests.fuzz.published_seeds import write_form
from tests.hard_strings import HARD
from tests.slow import mostly_slow

LENGTH = 32
PROMPTS = ["the tower", "naïve ﬁne", "low m²\n«so»", "東"]
TEXTS = ["the tower", "naïve Straße ﬁne 東京 12", "", "low lower  m² \n«so»", *HARD[-12:]]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    found = {}
    for form in FORMS:
        folder = tmp_path_factory.mktemp(form)
        write_form(form, folder)
        found[form] = read_tokenizer(folder).tokenizer
    return found


def file_of(checkpoint, tokenizer, path):
    """A checkpoint with a tokenizer, and its file as a runner opens it."""
    ids = np.arange(8 * LENGTH, dtype=np.int32).reshape(8, LENGTH) % (tokenizer.vocab_size - 1) + 1
    modality = Text(tokenizer=tokenizer, max_length=LENGTH)
    checkpoint = dataclasses.replace(checkpoint, modality=modality, probes={"ids": ids})
    path.write_bytes(bytes(convert(checkpoint, "float32", lengths=[LENGTH])))
    return checkpoint, Runner(path)


# One of each kind, and of each normalization.
WRITTEN = ["bytes", "llama", "merges", "t5", "words"]


@pytest.mark.parametrize("form", mostly_slow(FORMS, ["bytes", "words"]))
def test_classes_and_ids(tokenizers, form, tmp_path):
    tokenizer = tokenizers[form]
    segments = 2 if tokenizer.config.special.segments else 1
    model = random_model(vocab_size=tokenizer.vocab_size, num_segments=segments, max_length=LENGTH)
    checkpoint, runner = file_of(model, tokenizer, tmp_path / "model.tflite")
    assert runner.tokenizer.pieces(TEXTS) == tokenizer.pieces(TEXTS)
    np.testing.assert_allclose(runner.scores(TEXTS), checkpoint.scores(TEXTS), rtol=1e-4, atol=1e-5)
    assert len({tuple(row) for row in np.round(runner.scores(TEXTS), 4).tolist()}) > 4


@pytest.mark.parametrize("form", mostly_slow(WRITTEN, ["merges"]))
def test_written_texts(tokenizers, form, tmp_path):
    tokenizer = tokenizers[form]
    model = generator("llama", vocab_size=tokenizer.vocab_size, num_layers=1)
    checkpoint, runner = file_of(model, tokenizer, tmp_path / "model.tflite")
    expected = [one.text for one in checkpoint.generator().generate(PROMPTS, max_tokens=6)]
    assert runner.generate(PROMPTS, max_tokens=6) == expected
    assert len(set(expected)) > 1
