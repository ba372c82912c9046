"""MediaPipe's image tasks load our files, and give what `Runner` gives, see test_mediapipe.py."""

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.registry import TARGETS
from keras_transformer.zoo.tasks.classification import Classification
from tests.runtimes.in_mediapipe import in_mediapipe, needs_mediapipe
from tests.slow import mostly_slow
from tests.zoo.modalities.test_image import CONFIG, LABELS, pictures

pytestmark = needs_mediapipe


@pytest.fixture(scope="module")
def trained():
    # MediaPipe shows the probabilities of the outputs as they are.
    return kt.train(
        CONFIG, Classification(calibrate=False), train=pictures(96), validation=pictures(32, 1),
        epochs=3, learning_rate=3e-3, batch_tokens=13 * 16,
    )  # fmt: skip


def found_in(file, task, pixels, folder):
    np.save(folder / "pixels.npy", pixels)
    return in_mediapipe(file=str(file), task=task, pixels=str(folder / "pixels.npy"))


@pytest.mark.parametrize(
    "precision", mostly_slow(TARGETS["mediapipe"].precisions, ["int8"])
)
def test_images_are_classified_and_embedded_as_runner_does(trained, precision, tmp_path):
    calibration = pictures(96) if precision == "int8" else None
    pixels = np.stack(trained.encode(pictures(12, 2)[0]).columns["pixels"])
    # int8 outputs are on a grid, on which another build of XNNPACK may be a step off.
    tolerance = 0.05 if precision == "int8" else 1e-5
    for embedding in (False, True):
        path = tmp_path / f"{embedding}.tflite"
        kt.convert(
            trained, precision, target="mediapipe", calibration=calibration, embedding=embedding
        ).save(path)
        runner = Runner(path)
        found = found_in(path, "embed" if embedding else "classify", pixels, tmp_path)
        if embedding:
            np.testing.assert_allclose(found, runner.embed(list(pixels)), atol=tolerance)
            continue
        expected = [one.scores for one in runner.predict(list(pixels))]
        for label in LABELS:
            np.testing.assert_allclose(
                [one[label] for one in found], [one[label] for one in expected], atol=tolerance
            )
