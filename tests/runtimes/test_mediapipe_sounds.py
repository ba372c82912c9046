"""MediaPipe's AudioClassifier gives what `Runner` gives, see test_mediapipe.py."""

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.registry import TARGETS
from keras_transformer.zoo.tasks.classification import Classification
from tests.runtimes.in_mediapipe import in_mediapipe, needs_mediapipe
from tests.slow import mostly_slow
from tests.zoo.modalities.test_audio_files import CONFIG, LABELS, RATE, SETTINGS, sounds

pytestmark = needs_mediapipe


@pytest.fixture(scope="module")
def trained():
    # MediaPipe shows the probabilities of the outputs as they are.
    return kt.train(
        CONFIG, Classification(calibrate=False), train=sounds(96), validation=sounds(32, 1),
        epochs=3, learning_rate=3e-3, batch_tokens=15 * 16,
    )  # fmt: skip


def classified(file, waveforms, folder):
    np.save(folder / "waveforms.npy", waveforms)
    return in_mediapipe(
        file=str(file), task="classify", waveforms=str(folder / "waveforms.npy"), rate=RATE
    )


@pytest.mark.parametrize(
    "precision", mostly_slow(TARGETS["mediapipe"].precisions, ["float32", "int8"])
)
def test_sounds_are_classified_as_runner_does(trained, precision, tmp_path):
    calibration = sounds(96) if precision == "int8" else None
    waveforms = np.stack(trained.encode(sounds(12, 2)[0]).columns["waveform"])
    # int8 outputs are on a grid, on which another build of XNNPACK may be a step off.
    tolerance = 0.05 if precision == "int8" else 1e-5
    path = tmp_path / "m.tflite"
    kt.convert(trained, precision, target="mediapipe", calibration=calibration).save(path)
    found = classified(path, waveforms, tmp_path)
    expected = Runner(path).predict(list(waveforms))
    for label in LABELS:
        np.testing.assert_allclose(
            [one[label] for one in found], [one.scores[label] for one in expected], atol=tolerance
        )
    assert [max(one, key=one.get) for one in found] == [one.label for one in expected]


def test_a_longer_sound_is_read_in_windows(trained, tmp_path):
    path = tmp_path / "m.tflite"
    kt.convert(trained, target="mediapipe").save(path)
    length = SETTINGS["samples"]
    long = np.concatenate(trained.encode(sounds(2, 3)[0]).columns["waveform"])
    found = classified(path, long[None, : length + 1500], tmp_path)
    expected = Runner(path).predict([long[:length], long[length : length + 1500]])
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other.scores, abs=1e-5)
