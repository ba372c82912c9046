"""Published Whisper models against `transformers`: weights, sounds, tokens, and files of them."""

import functools
import json
import re

import numpy as np
import pytest
import safetensors.numpy

import keras_transformer as kt
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.load import load_pretrained
from tests.slow import mostly_slow
from tests.zoo.pretrained import tiny_speech

# Ids of ours have padding before them.
PAD = 1


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    reference = tiny_speech.write(folder)
    return kt.load(folder), reference


@pytest.fixture(scope="module")
def deeper(tmp_path_factory):
    """The same model with a third block in a stack, which adds nothing to what it reads."""

    def load(stack):
        folder = tmp_path_factory.mktemp(stack)
        tiny_speech.write(folder)
        tensors = safetensors.numpy.load_file(folder / "model.safetensors")
        first = f"model.{stack}.layers.0."
        for name in [one for one in tensors if one.startswith(first)]:
            adds = re.search(r"(out_proj|fc2)\.", name)
            value = np.zeros_like(tensors[name]) if adds else tensors[name].copy()
            tensors[name.replace(first, f"model.{stack}.layers.2.")] = value
        safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        change(folder, "config.json", **{f"{stack}_layers": 3})
        return kt.load(folder)

    return functools.cache(load)


def logits_of(model, reference):
    inputs = {"waveform": reference["waveform"], "ids": reference["ids"] + PAD}
    return np.asarray(model.model(inputs))[..., PAD:]


def texts(model, ids):
    return [model.tokenizer.decode(row + PAD).strip() for row in ids]


def change(folder, name, **changes):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_sounds_are_read_as_published(published):
    model, reference = published
    found = np.asarray(model.model.get_layer("log_mel")(reference["waveform"]))
    # Both compute the transform in float32, whose error the logarithm shows where a band is silent.
    np.testing.assert_allclose(found, reference["mels"], atol=1e-3)
    loud = reference["mels"] > reference["mels"].max() - 1
    np.testing.assert_allclose(found[loud], reference["mels"][loud], atol=1e-5)


def test_logits_are_the_published_ones(published):
    model, reference = published
    # Of logits of size 6; the spectrogram's float32 differs as above.
    np.testing.assert_allclose(logits_of(model, reference), reference["logits"], atol=2e-3)


@pytest.mark.parametrize(
    ("stack", "depths"), [("encoder", (3, 2)), ("decoder", (2, 3))]
)  # fmt: skip
def test_stacks_have_depths_of_their_own(published, deeper, stack, depths):
    model, reference = deeper(stack), published[1]
    layers = {layer.name: layer for layer in model.model.layers}
    assert (len(layers["encoder"].blocks), len(layers["decoder"].blocks)) == depths
    assert (model.config.encoder_depth, model.config.num_layers) == depths
    np.testing.assert_allclose(logits_of(model, reference), reference["logits"], atol=2e-3)


def test_the_same_tokens_are_written(published):
    model, reference = published
    assert model.modality.script.prompt == tuple(one + PAD for one in tiny_speech.PROMPT)
    # The published loop does not count the last token, which is not read.
    room = {"max_tokens": reference["written"].shape[1]}
    expected = texts(model, reference["written"])
    assert model.generate(list(reference["waveform"]), **room) == expected
    assert model.transcribe(reference["waveform"][0], **room) == expected[0]
    assert model.transcribe([reference["waveform"][1]], **room) == expected[1:2]


def test_another_language_is_another_prompt(published):
    model, reference = published
    own = model.modality.prompt
    german = model.modality.prompt_in("de")
    assert (german[0], *german[2:]) == (own[0], *own[2:]) and german[1] == own[1] + 1
    assert isinstance(model.transcribe(reference["waveform"][0], language="de"), str)
    with pytest.raises(InputError, match="language to be one of en, de, got 'fr'"):
        model.transcribe(reference["waveform"][0], language="fr")


def test_a_long_sound_is_several_windows(published):
    model, reference = published
    window = reference["waveform"].shape[1]
    # Silence at the end of the first window, where it is cut.
    first, second = reference["waveform"][2], reference["waveform"][1]
    joined = np.concatenate([first[: window // 2], np.zeros(2400, "float32"), second[:4800]])
    pieces = model.modality.windows(joined)
    assert len(pieces) == 2 and all(len(one) == window for one in pieces)
    assert sum(np.abs(one).sum() for one in pieces) == pytest.approx(np.abs(joined).sum(), rel=1e-5)
    told = []
    [whole] = model.generations([joined])
    assert whole.text == " ".join(filter(None, model.generate(pieces)))
    model.generations([joined], on_text=lambda row, piece: told.append((row, piece)))
    assert {row for row, _ in told} == {0} and "".join(one for _, one in told) == whole.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "precision", mostly_slow(["float32", "float16", "dynamic_int8"], ["float32"])
)
def test_files_write_the_same(published, deeper, precision, tmp_path):
    # Every signature has as many caches as the decoder has blocks.
    model, reference = deeper("encoder"), published[1]
    path = tmp_path / "model.tflite"
    kt.convert(model, precision).save(path)
    runner = Runner(path)
    assert runner.modality.script == model.modality.script
    sounds = list(reference["waveform"])
    written = runner.generate(sounds)
    if precision == "float32":
        assert written == model.generate(sounds)
        assert Runner(path, workers=2).generate(sounds) == written
        assert runner.transcribe((sounds[0], 16_000)) == written[0]
    # All signatures were compared layer by layer when the file was made; here that it runs.
    assert all(isinstance(one, str) for one in written)


def test_ctranslate_is_read_as_the_same_model(published, tmp_path):
    model, reference = published
    tiny_speech.write_ctranslate(tmp_path, "float32")
    other = load_pretrained(tmp_path)
    # Its own files say nothing of languages: by its size it has one.
    assert other.script.prompt == (258, 262)
    assert other.script.suppressed == (41, 42) and other.script.suppressed_first == (221, 257)
    found, expected = other.build(), model.model
    for one, two in zip(found.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=one.path)
    tiny_speech.write_ctranslate(tmp_path, "float16")
    half = load_pretrained(tmp_path).build()
    for one, two in zip(half.weights, expected.weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-3, atol=1e-3, err_msg=one.path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-3], "to be a whole file of CTranslate2"),
        (lambda data: data + b"\0", "to be a whole file of CTranslate2"),
        (lambda data: data[:40], "to be a whole file of CTranslate2"),
        (lambda data: b"\7" + data[1:], "to be a WhisperSpec of CTranslate2, version 6"),
        (lambda data: data.replace(b"WhisperSpec", b"WhimperSpec"), "got 'WhimperSpec', 6, 3"),
        (lambda data: data.replace(b"decoder/alibi", b"decoder/album"), "got decoder/album in I8"),
        (lambda data: data.replace(b"_0/ffn", b"_0/fun"), "of a Whisper model in"),
    ],
)  # fmt: skip
def test_a_damaged_file_of_ctranslate_is_named(tmp_path, damage, message):
    tiny_speech.write_ctranslate(tmp_path)
    path = tmp_path / "model.bin"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        load_pretrained(tmp_path)


def test_integers_of_ctranslate_are_not_read(tmp_path):
    tiny_speech.write_ctranslate(tmp_path, "int8")
    with pytest.raises(InputError, match="got .* in I8; convert the model with --quantization"):
        load_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("config.json", {"decoder_ffn_dim": 8}, "decoder_ffn_dim of .* to be 24, got"),
        ("config.json", {"scale_embedding": True}, "scale_embedding of .* to be False, got"),
        ("preprocessor_config.json", {"hop_length": 100}, "hop_length of .* to be 160, got 100"),
        ("preprocessor_config.json", {"feature_size": 80}, "feature_size of .* to be 20, got 80"),
        ("generation_config.json", {"suppress_tokens": "all"}, "suppress_tokens in .* to be ids"),
    ],
)
def test_what_would_be_read_otherwise_is_an_error(tmp_path, name, changes, message):
    tiny_speech.write(tmp_path)
    change(tmp_path, name, **changes)
    with pytest.raises(InputError, match=message):
        load_pretrained(tmp_path)


def test_its_vocabulary_is_not_pruned(tmp_path):
    tiny_speech.write(tmp_path)
    with pytest.raises(InputError, match="Expected no prune_vocabulary for .* reads speech"):
        kt.load(tmp_path, prune_vocabulary=["a text"])
