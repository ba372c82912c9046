"""Models of speech with a shorter window against the layers of the whole one."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.compare.compare import compare_layers
from keras_transformer.edge.convert.window import with_window, with_window_of
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError
from tests.zoo.pretrained import tiny_speech

SECONDS, SAMPLES = 0.1, 1600


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    reference = tiny_speech.write(folder)
    return kt.load(folder), reference


def test_a_shorter_window_has_the_first_positions(whole):
    model, reference = whole
    short = with_window(model, SECONDS)
    assert short.config == model.config.replace(samples=SAMPLES)
    assert short.probes["waveform"].shape[1:] == (SAMPLES,)
    sounds, ids = reference["waveform"][:, :SAMPLES], reference["ids"] + 1
    layers = {layer.name: layer for layer in model.model.layers}
    x = layers["log_mel"](sounds)
    for number in (0, 1):
        x = layers[f"convolution_{number}"](x)
    positions = np.asarray(layers["source_position_embedding"].embeddings)[: x.shape[1]]
    memory = layers["encoder"](x + positions)
    tokens = layers["position_embedding"](layers["token_embedding"](ids))
    hidden = layers["decoder"](tokens, memory=memory)
    expected = layers["token_embedding"](hidden, logits=True)
    found = short.model({"waveform": sounds, "ids": ids})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    # A sound of two windows is written as their texts.
    sound = reference["waveform"][1][: 2 * SAMPLES]
    assert len(short.modality.windows(sound)) >= 2
    assert short.transcribe(sound) == " ".join(
        filter(None, short.generate(short.modality.windows(sound)))
    )


@pytest.mark.slow
def test_its_file_reads_the_window(whole, tmp_path):
    model, reference = whole
    kt.convert(model, max_seconds=SECONDS).save(tmp_path / "short.tflite")
    runner = Runner(tmp_path / "short.tflite")
    sounds = [one[:SAMPLES] for one in reference["waveform"]]
    assert runner.modality.longest.startswith(f"{SECONDS:g} seconds")
    assert runner.generate(sounds) == with_window(model, SECONDS).generate(sounds)
    [compared] = kt.compare(model, runner, (list(reference["waveform"]), ["a b"] * len(sounds)))
    assert compared.same_weights and compared.parity.agreement == 1.0
    assert compared.parity.largest < 1e-3
    inputs = model.task.inputs(model.task.read((sounds, ["a b"] * len(sounds))), model.modality)
    layers = compare_layers(model, [runner], inputs)[runner.name]
    assert layers and not any(one.departs for one in layers)


def test_a_checkpoint_gets_the_window_of_a_file(whole):
    model = whole[0]
    short = with_window(model, SECONDS)
    assert with_window_of(model, short.modality).config == short.config
    assert with_window_of(short, model.modality) is short
    assert with_window_of(model, model.modality) is model
    other = dataclasses.replace(
        short.modality, settings={**short.modality.settings, "mels": 21}
    )
    assert with_window_of(model, other) is model


@pytest.mark.parametrize("seconds", [0.001, 0.5, 0, -1, float("inf"), float("nan")])
def test_a_window_the_model_has_not_is_an_error(whole, seconds):
    with pytest.raises(InputError, match=f"max_seconds to be from 0.025 to .* 0.4, .*={seconds}"):
        with_window(whole[0], seconds)


def test_only_models_of_speech_have_one():
    other = SimpleNamespace(modality=SimpleNamespace(name="text"), config=None, is_quantized=False)
    with pytest.raises(InputError, match="only for a float model of speech, .* for one of text"):
        with_window(other, 3)
