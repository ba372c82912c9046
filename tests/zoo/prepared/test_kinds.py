"""Prepared texts, translations, images and sounds, and words that are split anew."""


import numpy as np
import pytest

from keras_transformer.zoo.columns.texts import Texts
from keras_transformer.zoo.data.plain_text import (
    MappedText,
    load_plain_text,
    split_plain,
    token_stream,
)
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.prepared import encode
from keras_transformer.zoo.prepared.context import prepared_in
from keras_transformer.zoo.prepared.plain import stream_of
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.tasks.translation import Translation
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary
from tests.zoo.prepared.shards import WORDS, written


def lines_of(folder, rng):
    """Plain text in two files, of which the first does not end its last line."""
    words = [*WORDS, "\r", "\x85", "  ", "\n", "\n\n"]
    texts = ["".join(rng.choice(words, 400)) + "end", "".join(rng.choice(words, 300)) + "\n"]
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_bytes(("\ufeff" + text).encode())
    return str(folder / "*.txt")


@pytest.mark.parametrize("kind", ["bytes", "characters", "wordpiece"])
def test_streams_are_those_of_the_text(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(encode, "_PART_BYTES", 200)
    source = lines_of(tmp_path, np.random.default_rng(1))
    own = load_plain_text(source)
    config = TokenizerConfig(kind=kind)
    vocabulary = () if kind == "bytes" else learn_vocabulary(own.parts, 60, config)
    tokenizer = Tokenizer(config, vocabulary)
    with prepared_in(tmp_path / "data", 0):
        plain = load_plain_text(source)
        assert isinstance(plain, MappedText) and plain.text == own.text and len(plain) > 30
        found, digest = stream_of(plain, tokenizer)
        expected = token_stream(own, tokenizer)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.uint16 and digest and stream_of(own, tokenizer)[1] == b""
        for share in (0.01, 0.3, 0.5):
            parts = [split_plain(one, share) for one in (own, plain)]
            assert [one.text for one in parts[0]] == [one.text for one in parts[1]]
            np.testing.assert_array_equal(
                *(stream_of(two, tokenizer)[0] for _, two in parts)
            )
    task = LanguageModeling()
    made = []
    for text in (own, plain):
        with prepared_in(tmp_path / "data", 0):
            data = task.run_data(text, text, Text(tokenizer=tokenizer, max_length=7))
            made.append(data.batches(batch_tokens=35, bucket=4, seed=2))
    for epoch in range(3):
        one, two = (list(batches.epoch(epoch)) for batches in made)
        assert len(one) == len(two) > 5
        for first, second in zip(one, two, strict=True):
            np.testing.assert_array_equal(first.inputs["ids"], second.inputs["ids"])
            np.testing.assert_array_equal(first.targets, second.targets)
            assert first.targets.dtype == second.inputs["ids"].dtype == np.int32


def test_blank_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text(" \n\n")
    for context in (prepared_in(tmp_path / "data", 0), prepared_in(tmp_path / "data")):
        with context, pytest.raises(InputError, match="expected text, the file is empty"):
            load_plain_text(tmp_path / "a.txt")


def test_translations_are_those_of_the_files(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(encode, "_PART_BYTES", 1000)
    full = [(f"{one} x", f"{two} y", label) for one, two, label in rows]
    source = written(tmp_path, full, ".tsv")
    task, columns = Translation(), {"source": "text", "target": "second"}
    one, two = (Tokenizer(TokenizerConfig(kind="bytes", lowercase=case)) for case in (True, False))
    text = Text(tokenizer=one, target_tokenizer=two, max_length=30)
    made = []
    for context in (prepared_in(tmp_path / "data"), prepared_in(tmp_path / "data", 0)):
        with context:
            task, train, validation = task.read_parts(source, 0.25, columns)
            data = task.run_data(train, validation, text)
            made.append((data, list(data.batches(batch_tokens=256, bucket=4, seed=3).epoch(0))))
    (own, expected), (prepared, found) = made
    assert isinstance(prepared.train.sources, Texts) and not isinstance(own.train.sources, Texts)
    assert list(own.validation.rows()) == list(prepared.validation.rows())
    assert len(found) == len(expected) > 5
    for one, other in zip(found, expected, strict=True):
        for name in ("source_ids", "ids"):
            np.testing.assert_array_equal(one.inputs[name], other.inputs[name])
        np.testing.assert_array_equal(one.targets, other.targets)
    assert np.count_nonzero(own._encoded_train[2]) == np.count_nonzero(prepared._encoded_train[2])


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_media_are_those_of_the_files(tmp_path, kind):
    rng = np.random.default_rng(0)
    if kind == "image":
        pillow = pytest.importorskip("PIL.Image")
    else:
        soundfile = pytest.importorskip("soundfile")
    for number in range(23):
        folder = tmp_path / "rows" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "image":
            pixels = rng.integers(0, 256, (9 + number % 3, 8, 3), np.uint8)
            pillow.fromarray(pixels).save(folder / f"{number}.png")
        else:
            samples = rng.normal(0, 0.1, 1600 + 100 * number)
            soundfile.write(folder / f"{number}.wav", samples, 16000)
    size = {"height": 8, "width": 8, "patch": 4} if kind == "image" else {}
    named = "vit_tiny" if kind == "image" else "kwt_tiny"
    settings = {**get_config(named).modality_settings, **size}
    modality = modality_named(kind).from_files({}, max_length=64, settings=settings)
    task, made = Classification(modality=kind), []
    for least in (10**9, 0):
        with prepared_in(tmp_path / "data", least):
            task, train, _ = task.read_parts(str(tmp_path / "rows"), str(tmp_path / "rows"))
            data = task.run_data(train, train, modality)
            made.append(list(data.batches(batch_tokens=512, bucket=4, seed=3).epoch(0)))
    assert len(made[0]) == len(made[1]) and len(list((tmp_path / "data").glob("rows-*"))) == 1
    for one, other in zip(*made, strict=True):
        for name, array in one.inputs.items():
            np.testing.assert_array_equal(array, other.inputs[name])
            assert array.dtype == other.inputs[name].dtype
        np.testing.assert_array_equal(one.targets, other.targets)
    # A changed file is another row.
    file = next((tmp_path / "rows" / "a").iterdir())
    file.write_bytes(file.read_bytes())
    with prepared_in(tmp_path / "data", 0, missing="refuse"), pytest.raises(InputError):
        task.run_data(train, train, modality).batches(batch_tokens=512, bucket=4, seed=3)


@pytest.mark.parametrize(
    "task", [Classification(pair=True), Translation()], ids=["pairs", "translation"]
)
def test_words_are_split_anew_batch_by_batch(tmp_path, rows, task):
    """Many rows have other pieces, which spell the same; some have no room for them."""
    full = [(f"{one} x", f"{two} y", label) for one, two, label in rows]
    source = written(tmp_path, full, ".tsv")
    is_pair = task.name == "classification"
    columns = {"text": "text", "text_pair": "second"} if is_pair else {
        "source": "text", "target": "second"
    }
    words = learn_vocabulary([one for one, _, _ in full], 90, TokenizerConfig())
    text = Text(tokenizer=Tokenizer(TokenizerConfig(), words), max_length=200)
    with prepared_in(tmp_path / "data", 0):
        task, train, _ = task.read_parts(source, source, columns)
        data = task.run_data(train, train, text)
        options = {"batch_tokens": 256, "bucket": 4, "seed": 3}
        plain, dropped = data.batches(**options), data.batches(**options, piece_dropout=0.1)
    for one in (plain, dropped):
        one.in_multiples_of(1, whole=is_pair)
    first, second = (list(dropped.epoch(epoch)) for epoch in range(2))
    shapes = {one.inputs["ids"].shape for one in dropped.one_of_each_shape()}
    assert {one.inputs["ids"].shape for one in [*first, *second]} == shapes
    again = list(dropped.epoch(1, start=2))
    changed = kept = 0
    for one, other in zip(second[2:], again, strict=True):
        np.testing.assert_array_equal(one.inputs["ids"], other.inputs["ids"])
    for before, after in zip(plain.epoch(0), first, strict=True):
        np.testing.assert_array_equal(before.index, after.index)
        for row in range(len(before.index)):
            was, now = (one.inputs["ids"][row] for one in (before, after))
            assert text.tokenizer.decode(was) == text.tokenizer.decode(now)
            is_same = np.array_equal(was, now[: len(was)]) and not now[len(was) :].any()
            changed, kept = changed + (not is_same), kept + is_same
            if not is_pair:
                # What is read and what is to be written are of one cut.
                length = np.count_nonzero(now)
                np.testing.assert_array_equal(now[1:length], after.targets[row][: length - 1])
                assert (after.targets[row][length:] == -1).all()
    assert changed > 50 and kept > 0
    assert dropped.fingerprint() != plain.fingerprint()
    assert dropped.largest()[1] > plain.largest()[1]
