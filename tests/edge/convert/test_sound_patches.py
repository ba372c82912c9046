"""Files of models of sounds whose patches overlap."""

import pytest

import keras_transformer as kt
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.modalities.audio import AudioSettings
from keras_transformer.zoo.tasks.classification import Classification
from tests.keywords import CONFIG, SETTINGS, clips
from tests.slow import mostly_slow

PATCHES = {**SETTINGS, "patch_frames": 8, "patch_mels": 8, "patch_overlap": 4}
PRECISIONS = ("float16", "dynamic_int8", "int8", "static_int8", "int16x8", "int4")


@pytest.fixture(scope="module")
def model():
    length = AudioSettings(**PATCHES).positions
    return kt.train(
        CONFIG.replace(modality_settings=PATCHES, max_length=length), Classification(),
        train=clips(40), validation=clips(40, seed=1), epochs=8, batch_tokens=16 * length,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("precision", mostly_slow(PRECISIONS, ["int16x8"]))
def test_files_are_written(model, precision):
    is_static = precision in ("int8", "static_int8", "int16x8")
    file = convert(model, precision, calibration=clips(40, seed=2) if is_static else None)
    # In int4 one of the 40 clips may be labelled otherwise.
    assert file.parity.agreement >= (0.95 if precision == "int4" else 1.0)
