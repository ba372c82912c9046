"""MediaPipe's image tasks load our files, and give what `Runner` gives, see test_mediapipe.py."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.registry import TARGETS
from keras_transformer.zoo.tasks.classification import Classification
from tests.slow import mostly_slow
from tests.zoo.modalities.test_image import CONFIG, LABELS, pictures

PYTHON = os.environ.get("MEDIAPIPE_PYTHON")
pytestmark = pytest.mark.skipif(
    not PYTHON, reason="MEDIAPIPE_PYTHON names no interpreter that has MediaPipe"
)
SCRIPT = Path(__file__).with_name("mediapipe_tasks.py")


@pytest.fixture(scope="module")
def trained():
    # MediaPipe shows the probabilities of the outputs as they are.
    return kt.train(
        CONFIG, Classification(calibrate=False), train=pictures(96), validation=pictures(32, 1),
        epochs=3, learning_rate=3e-3, batch_tokens=13 * 16,
    )  # fmt: skip


def in_mediapipe(file, task, pixels, folder):
    np.save(folder / "pixels.npy", pixels)
    request = json.dumps({"file": str(file), "task": task, "pixels": str(folder / "pixels.npy")})
    child = subprocess.run(
        [PYTHON, str(SCRIPT)], input=request, capture_output=True, text=True, timeout=300
    )
    assert child.returncode == 0, child.stderr[-2000:]
    return json.loads(child.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "precision", mostly_slow(TARGETS["mediapipe"].precisions, ["float32", "int8"])
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
        found = in_mediapipe(path, "embed" if embedding else "classify", pixels, tmp_path)
        if embedding:
            np.testing.assert_allclose(found, runner.embed(list(pixels)), atol=tolerance)
            continue
        expected = [one.scores for one in runner.predict(list(pixels))]
        for label in LABELS:
            np.testing.assert_allclose(
                [one[label] for one in found], [one[label] for one in expected], atol=tolerance
            )
