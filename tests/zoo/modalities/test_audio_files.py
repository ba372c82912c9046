"""A model of sounds from a folder of clips to `.tflite` files."""

import numpy as np
import pytest
import soundfile

import keras_transformer as kt
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.tflite.schema import count_ops
from keras_transformer.frames import LogMel
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.tasks.classification import Classification
from tests.slow import mostly_slow
from tests.zoo.modalities.class_files import (
    check_file,
    check_quantized,
    trained_on,
    write_classes,
    write_splits,
)

RATE = 8000
SETTINGS = {
    "rate": RATE, "samples": 2400, "frame": 240, "hop": 80, "mels": 16, "patch_frames": 2,
}  # fmt: skip
CONFIG = TransformerConfig(
    architecture="encoder", hidden_dim=32, intermediate_dim=64, num_layers=1, num_heads=2,
    max_length=15, dropout=0.0, attention_dropout=0.0, pooler="none",
    modality="audio", modality_settings=SETTINGS,
)  # fmt: skip
LABELS = ("high", "low")


def sounds(count, seed=0):
    """Noisy tones of several lengths and levels that are high or low."""
    rng = np.random.default_rng(seed)
    rows, labels = [], [LABELS[k] for k in rng.integers(0, 2, count)]
    for label in labels:
        length = rng.integers(1800, 2600)
        pitch = rng.uniform(0.8, 1.2) * (1200 if label == "high" else 400)
        tone = np.sin(2 * np.pi * np.arange(length) * pitch / RATE) * rng.uniform(0.1, 0.5)
        rows.append((32_767 * (tone + rng.normal(0, 0.01, length))).astype(np.int16))
    return rows, labels


def write_folder(folder, count, seed=0):
    return write_classes(
        folder, *sounds(count, seed), ("wav", "flac"),
        lambda path, sound: soundfile.write(path, sound, RATE),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("sounds"), write_folder)


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    return trained_on(folders, CONFIG, tmp_path_factory.mktemp("model") / "checkpoint")


def test_it_reads_folders_tables_and_arrays(trained, folders, tmp_path):
    by_folder = trained.evaluate(str(folders["test"]))
    assert by_folder["accuracy"] == 1.0
    assert by_folder["rows"] == 40 and by_folder["truncated"] > 0
    table = tmp_path / "test.csv"
    paths = sorted(folders["test"].rglob("*.*"))
    for one in paths:
        (tmp_path / one.name).write_bytes(one.read_bytes())
    lines = [f"{one.name},{one.parent.name}" for one in paths]
    table.write_text("audio,label\n" + "\n".join(lines) + "\n")
    assert trained.evaluate(str(table)) == by_folder
    labels = [one.parent.name for one in paths]
    arrays = [soundfile.read(one, dtype="int16")[0] for one in paths]
    assert trained.evaluate((arrays, labels)) == by_folder
    assert trained.evaluate(([(one, RATE) for one in arrays], labels)) == by_folder
    encoded = np.stack(trained.encode(paths).columns["waveform"])
    np.savez(tmp_path / "test.npz", audio=encoded, label=labels)
    found = trained.evaluate(str(tmp_path / "test.npz"))
    assert found == {**by_folder, "truncated": 0}


def test_arrays_in_files_have_a_rate(trained, tmp_path):
    path = tmp_path / "rows.npz"
    rows = np.random.default_rng(0).uniform(-1, 1, (3, 4800)).astype(np.float32)
    labels = ["high", "low", "low"]
    for rates in ({"rate": 16_000}, {"sample_rate": [16_000, 16_000, 8000]}):
        np.savez(path, audio=rows, label=labels, **rates)
        found = trained.task.read(str(path)).texts
        own = np.broadcast_to(next(iter(rates.values())), 3)
        for one, row, rate in zip(found, rows, own, strict=True):
            np.testing.assert_array_equal(one[0], row)
            assert one[1] == rate
    assert trained.evaluate(str(path))["rows"] == 3
    for rates, message in (
        ({"rate": [8000, 8000]}, r"one value of 'rate', or one for each of 3 rows, got .* \(2,\)"),
        ({"rate": 8000, "sample_rate": 8000}, "one of the arrays rate and sample_rate, got both"),
        ({"rate": 8000.5}, "row 1: Expected a rate in Hz to be an integer .*, got .*8000.5"),
    ):
        np.savez(path, audio=rows, label=labels, **rates)
        with pytest.raises(InputError, match=message):
            trained.evaluate(str(path))


def test_bands_have_the_scale_of_the_training_data(trained, folders):
    [layer] = [one for one in trained.model.layers if isinstance(one, LogMel)]
    rows = np.stack(trained.encode(sorted(folders["train"].rglob("*.*"))).columns["waveform"])
    found = np.asarray(layer.logarithms(rows)).reshape(-1, 16)
    found = found[(found > found.min() + 1e-3).any(axis=1)]
    np.testing.assert_allclose(layer.mean, found.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(layer.deviation, found.std(axis=0), atol=1e-3)


def test_another_scale_is_not_learned_when_training_goes_on(trained, folders, tmp_path):
    path = tmp_path / "model"
    trained.save(path)
    again = kt.train(str(path), train=sounds(32, seed=5), validation=0.25, epochs=1)
    before, after = (
        next(one for one in model.layers if isinstance(one, LogMel))
        for model in (trained.model, again.model)
    )
    np.testing.assert_array_equal(before.mean, after.mean)
    np.testing.assert_array_equal(before.deviation, after.deviation)


@pytest.mark.parametrize(
    "precision",
    mostly_slow(PRECISIONS, ["int8"]),
)
def test_its_files_predict_the_same(trained, folders, precision):
    # Logits of about 3; an int8 network of this depth is within a tenth of that. int4 is coarser,
    # and so is a file of integers, which stores the class token on the grid of all frames.
    tolerance = {
        "float32": 1e-4, "float16": 1e-2, "int16x8": 0.1, "int4": 1.0, "integer": 2.0,
    }.get(precision, 0.5)  # fmt: skip
    file = check_file(trained, folders, precision, reads=("audio", [15]), tolerance=tolerance)
    ops = count_ops(unpack(file)[0])
    # The spectrogram has the same three products in every precision, and no table of places.
    assert "GATHER" not in ops and "GATHER_ND" not in ops


def test_the_spectrogram_is_float_and_small(trained, folders):
    file = kt.convert(trained, "static_int8", calibration=str(folders["train"]))
    [waveform] = [one for one in kt.inspect(file).signatures["predict"] if one.role == "input"]
    assert (waveform.name, waveform.type, tuple(waveform.shape)) == (
        "waveform", "FLOAT32", (1, 2400),
    )  # fmt: skip
    [layer] = [one for one in trained.model.layers if isinstance(one, LogMel)]
    assert sum(one.nbytes for one in layer.constants) < 16_000  # in one product: 260,000


def test_mediapipe_classifies_sounds(trained):
    made = kt.convert(trained, target="mediapipe")
    assert made.parity.agreement == 1.0
    with pytest.raises(InputError, match="classifier of sounds for the target mediapipe, whose A"):
        kt.convert(trained, target="mediapipe", embedding=True)


@pytest.mark.slow
def test_quantization_aware_training(trained, folders):
    check_quantized(trained, folders)


def test_the_data_choose_rate_and_length(folders):
    task = Classification().reading("audio")
    train = task.read(str(folders["train"]))
    found = task.suited(train, {})["settings"]
    assert {name: found[name] for name in ("rate", "samples", "frame", "hop")} == {
        "rate": 8000, "samples": 3200, "frame": 240, "hop": 80,
    }  # fmt: skip
    found = task.suited(train, {"rate": 16_000})["settings"]
    assert (found["samples"], found["frame"], found["hop"]) == (6400, 480, 160)
    # Arrays are at the model's rate, and long sounds have more frames in a vector.
    train = task.read(([np.zeros(160_000, np.int16)] * 4, ["a", "b"] * 2))
    found = task.suited(train, {})["settings"]
    assert (found["rate"], found["samples"], found["patch_frames"]) == (16_000, 160_000, 10)


@pytest.mark.slow
def test_patches_of_the_spectrogram(folders, tmp_path):
    trained = kt.train(
        "ast_tiny", train=str(folders["train"]), validation=str(folders["dev"]), epochs=6,
        settings={
            "num_layers": 1, "hidden_dim": 32, "num_heads": 2, "intermediate_dim": 64, "mels": 32,
        },
        learning_rate=3e-3, batch_tokens=16 * 7,
    )  # fmt: skip
    settings = trained.config.modality_settings
    assert (settings["rate"], settings["patch_frames"], settings["patch_mels"]) == (8000, 16, 16)
    assert trained.metrics["validation"]["accuracy"] > 0.9
    for precision in ("float32", "int8"):
        file = kt.convert(
            trained, precision,
            calibration=None if precision == "float32" else str(folders["train"]),
        )  # fmt: skip
        # One of 48 rows may be near 0.5, which 8 bits round to the other side.
        assert file.parity.agreement >= (1.0 if precision == "float32" else 0.95)
