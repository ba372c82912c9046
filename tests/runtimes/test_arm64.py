"""`Runner` on emulated ARM64 cores answers as on x86-64, with NumPy and LiteRT alone.

The machine is made from packages, see `edge.arm64.machine`: Python 3.11 of Debian 12, or 3.13 of
Debian 13. The package is the wheel that a device installs. Results are proven so, not speed.
"""

import dataclasses
import functools

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.arm64.cores import CORES
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite.schema import output_step
from keras_transformer.zoo.tasks.classification import Classification
from tests import tagging
from tests.arm64 import answers, device_package, emulated
from tests.edge import generators
from tests.edge.models import WORDS, calibration, random_model
from tests.zoo.modalities import test_audio_files, test_image

# Kernels of other instructions add floats in another order: the bounds of the outputs' differences,
# as shares of the range of the outputs. In the first two each sum is of float32 numbers; in the
# others a value at the border of two integers may be rounded to the other, which moves the outputs
# by steps of 16 or of 8 bits, 1/65535 or 1/255 of a range.
BOUNDS = {"float32": 5e-6, "float16": 5e-6, "int16x8": 2e-4, "dynamic_int8": 0.01, "int4": 0.01}
# Where the outputs are integers themselves, they moved by this number of steps at most.
STEPS = {"int8": 1, "static_int8": 1, "integer": 1}
GENERATORS = {"language model": "gpt", "translator": "transformer"}
# A patch of 8 pixels has 192 numbers, of which int4 takes blocks of 32.
PICTURES = dataclasses.replace(
    test_image.CONFIG, max_length=5,
    modality_settings={"height": 16, "width": 16, "patch": 8},
)  # fmt: skip
MEDIA = {
    "image": (PICTURES, test_image.pictures),
    "sound": (test_audio_files.CONFIG, test_audio_files.sounds),
}


def words(count):
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, length)) for length in rng.integers(2, 10, count)]


@functools.cache
def model_of(kind):
    """A model, rows to calibrate on, and rows to answer."""
    if kind == "classifier":
        return random_model(num_segments=1), calibration(), words(12)
    if kind == "tagger":
        trained = kt.train(
            "bert_tiny", "token-classification", train=tagging.sentences(150, 0),
            validation=tagging.sentences(40, 1), epochs=6, learning_rate=0.02, max_length=20,
            settings={"num_layers": 1, "hidden_dim": 32, "num_heads": 2, "intermediate_dim": 64},
            vocab_size=120, batch_tokens=256, tokenizer="wordpiece",
        )  # fmt: skip
        rows = ["the old ship saw Anna Stone .", "Bob went on and on", "nothing in Oslo Bay ."]
        return trained, tagging.sentences(60, 0), rows
    if kind in GENERATORS:
        rows = ["to be or not", "abc", "what a day", "12 of 30", "the quick brown fox"]
        model = generators.generator(GENERATORS[kind], intermediate_dim=64)
        return model, generators.calibration(GENERATORS[kind]), rows
    config, rows = MEDIA[kind]
    trained = kt.train(
        config, Classification(), train=rows(96), validation=rows(32, 1), epochs=3,
        learning_rate=3e-3, batch_tokens=240,
    )  # fmt: skip
    # Of the model's own size: Pillow, which resizes others, is no part of the device's package.
    [encoded] = trained.encode(rows(8, 2)[0]).columns.values()
    return trained, rows(96), list(encoded)


def job(folder, precision, model, data, rows):
    path = folder / f"{precision}.tflite"
    batches = data if PRECISIONS[precision].is_static else None
    path.write_bytes(bytes(convert(model, precision, calibration=batches)))
    return path, rows


def compare(jobs, found, expected, *, generates=False):
    for (path, rows), (outputs, texts), (others, other_texts) in zip(
        jobs, found, expected, strict=True
    ):
        precision = path.stem
        same = np.array(texts) == np.array(other_texts)
        assert len(same) == len(rows)
        if generates and precision == "integer":
            # With random weights two tokens may be a step apart or none, which decides all that is
            # written after it.
            assert same.mean() >= 0.6
            outputs, others = outputs[same], others[same]
        else:
            assert same.all(), precision
        step = None if generates else output_step(unpack(path)[0])
        if precision in STEPS and step is not None:
            # Half a step more, for the float that a step is.
            bound = (STEPS[precision] + 0.5) * step
        else:
            # A text's log probability adds up the steps of its tokens.
            bound = BOUNDS.get(precision, 0.02 if generates else 0.01) * np.ptp(others)
        np.testing.assert_allclose(outputs, others, rtol=0, atol=bound, err_msg=precision)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    emulated()
    return device_package(tmp_path_factory.mktemp("device"))


@pytest.fixture(scope="module")
def classifiers(package, tmp_path_factory):
    """Files of a classifier with their rows, and what they answer here."""
    folder = tmp_path_factory.mktemp("classifiers")
    model = random_model(num_segments=1)
    jobs = [
        job(folder, precision, model, calibration(), words(12))
        for precision in ("float32", "int8")
    ]
    return jobs, answers(jobs, folder / "here", package)


@pytest.mark.parametrize("core", ["cortex-a53", "cortex-a76", "cortex-a715"])
def test_a_classifier_answers_as_here(core, classifiers, package, tmp_path):
    jobs, expected = classifiers
    found = answers(jobs, tmp_path / core, package, machine=emulated(), core=core)
    compare(jobs, found, expected)


@pytest.fixture(scope="module")
def of_every_kind(package, tmp_path_factory):
    """For a kind, its files in every precision with their rows, and what they answer here."""

    @functools.cache
    def made(kind):
        folder = tmp_path_factory.mktemp("files")
        jobs = [job(folder, precision, *model_of(kind)) for precision in PRECISIONS]
        return jobs, answers(jobs, folder / "here", package)

    return made


@pytest.mark.slow
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("kind", ["classifier", "tagger", *GENERATORS, *MEDIA])
def test_every_kind_in_every_precision(kind, core, of_every_kind, package, tmp_path):
    jobs, expected = of_every_kind(kind)
    found = answers(jobs, tmp_path / core, package, machine=emulated(), core=core)
    compare(jobs, found, expected, generates=kind in GENERATORS)


@pytest.mark.slow
def test_the_python_of_debian_13(classifiers, package, tmp_path):
    jobs, expected = classifiers
    machine, core = emulated("3.13"), "cortex-a76"
    found = answers(jobs, tmp_path / "trixie", package, machine=machine, core=core)
    compare(jobs, found, expected)
