"""Images: their settings, rows, and a model of them from a folder of files to a `.tflite` file."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import keras_transformer as kt
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.tflite.schema import count_ops
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.image import Image, ImageSettings
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.suited.media import suited_to_pictures
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.labelled_data import LabelledData
from tests.slow import mostly_slow
from tests.zoo.modalities.class_files import (
    check_file,
    check_quantized,
    trained_on,
    write_classes,
    write_splits,
)

SETTINGS = {"height": 16, "width": 12, "patch": 4}
CONFIG = TransformerConfig(
    architecture="encoder", hidden_dim=32, intermediate_dim=64, num_layers=1, num_heads=2,
    max_length=13, dropout=0.0, attention_dropout=0.0, pre_norm=True, pooler="none",
    modality="image", modality_settings=SETTINGS,
)  # fmt: skip
LABELS = ("falls", "rises")


def pictures(count, seed=0):
    """Noisy pictures of several sizes that get darker downwards, or lighter."""
    rng = np.random.default_rng(seed)
    rows, labels = [], [LABELS[k] for k in rng.integers(0, 2, count)]
    for label in labels:
        height, width = rng.integers(12, 30, 2)
        slope = np.linspace(-60, 60, height)[:, None, None] * (1 if label == "rises" else -1)
        picture = rng.normal(128, 10, (height, width, 3)) + slope
        rows.append(np.clip(picture, 0, 255).astype(np.uint8))
    return rows, labels


def write_folder(folder, count, seed=0):
    return write_classes(
        folder, *pictures(count, seed), ("png", "webp"),
        lambda path, picture: Pillow.fromarray(picture).save(path, lossless=True),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("pictures"), write_folder)


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    return trained_on(folders, CONFIG, tmp_path_factory.mktemp("model") / "checkpoint")


def test_settings():
    assert ImageSettings.of(SETTINGS).positions == 13
    assert ImageSettings.of({**SETTINGS, "class_tokens": 0}).positions == 12
    for wrong, message in (
        ({"height": 16}, "among height, width, .* with height and width, got"),
        ({**SETTINGS, "size": 3}, "Expected the settings of the modality image among"),
        ({**SETTINGS, "patch": 5}, "patch to divide height and width, got patch=5 of 16 x 12; .* "
         "is 15 x 10"),
        ({**SETTINGS, "height": 2}, "at least 4 x 8 or 8 x 4 pixels, two patches of 4 .* height=2"),
        ({**SETTINGS, "height": 4, "width": 4}, "two patches of 4 pixels, got height=4, width=4"),
        ({**SETTINGS, "patch": 20}, "at least 20 x 40 or 40 x 20 pixels, .* height=16, width=12"),
        ({**SETTINGS, "height": 0}, "height to be an integer from 1 to 4096, got height=0"),
        ({**SETTINGS, "channels": 4}, "channels to be 1 or 3, got channels=4"),
        ({**SETTINGS, "crop": 0.0}, "crop to be above 0 and at most 1, got crop=0.0"),
        ({**SETTINGS, "stretch": 1}, "stretch to be true or false, got stretch=1"),
        ({**SETTINGS, "method": "nearest"}, "method to be one of bilinear, bicubic, got"),
    ):
        with pytest.raises(InputError, match=message):
            ImageSettings.of(wrong)


def test_a_config_follows_its_settings():
    assert CONFIG.replace(height=32, patch=2).max_length == 1 + 16 * 6
    with pytest.raises(InputError, match="max_length to be the 13 positions of an input of image"):
        CONFIG.replace(max_length=64)


def test_raw_rows(tmp_path):
    [picture], _ = pictures(1)
    path = tmp_path / "one.png"
    Pillow.fromarray(picture).save(path)
    image = Image(max_length=13, settings=SETTINGS)
    rows, _ = image.checked([str(path), path, path.read_bytes(), picture, Pillow.open(path)])
    arrays = image.encode(rows).columns["pixels"]
    assert arrays[0].shape == (16, 12, 3)
    expected = Pillow.fromarray(picture).resize((12, 16), Pillow.Resampling.BILINEAR)
    for array in arrays:
        np.testing.assert_array_equal(array, np.asarray(expected))
    made = Pillow.fromarray(picture)
    for wrong in (path, "one.png", picture, picture[:, :, 0], made, b"bytes"):
        with pytest.raises(TypeError, match="Expected a list of images, got .*; put it in a list"):
            image.checked(wrong)
    for several in (np.stack([picture] * 2), np.stack([picture[:, :, 0]] * 2)):
        assert len(image.checked(several)[0]) == 2
    with pytest.raises(TypeError, match="uint8 arrays or Pillow's pictures, got int 3"):
        image.checked([path, 3])


def test_it_reads_folders_tables_and_arrays(trained, folders, tmp_path):
    by_folder = trained.evaluate(str(folders["test"]))
    assert by_folder["accuracy"] == 1.0
    assert by_folder["rows"] == 40
    table = tmp_path / "test.tsv"
    lines = [f"{one.name}\t{one.parent.name}" for one in sorted(folders["test"].rglob("*.*"))]
    for one in folders["test"].rglob("*.*"):
        (tmp_path / one.name).write_bytes(one.read_bytes())
    table.write_text("image\tlabel\n" + "\n".join(lines) + "\n")
    assert trained.evaluate(str(table)) == by_folder
    encoded = trained.encode(sorted(folders["test"].rglob("*.*"))).columns["pixels"]
    labels = [one.parent.name for one in sorted(folders["test"].rglob("*.*"))]
    np.savez(tmp_path / "test.npz", image=encoded, label=labels)
    assert trained.evaluate(str(tmp_path / "test.npz")) == by_folder
    assert trained.evaluate((encoded, labels)) == by_folder


def test_arrays_that_are_no_rows(trained, tmp_path):
    path = tmp_path / "rows.npz"
    pixels = np.zeros((2, 16, 12, 3), np.uint8)
    for arrays, message in (
        ({"image": pixels / 255.0, "label": ["falls"] * 2}, "npz, row 1: Expected pixels from 0"),
        ({"image": pixels, "label": np.eye(2)}, r"one value for each row in the array 'label', "),
    ):
        np.savez(path, **arrays)
        with pytest.raises(InputError, match=message):
            trained.evaluate(str(path))


def test_reading_is_reported(trained, folders):
    class Told(Report):
        def __init__(self):
            self.read = []

        def reading(self, path, done, rows):
            self.read.append((path, done, rows))

    train, dev = (trained.task.read(str(folders[name])) for name in ("train", "dev"))
    data = LabelledData(task=trained.task, train=train, validation=dev, modality=trained.modality)
    data.report_cuts(told := Told())
    assert told.read == [
        *[(folders["train"], done, 160) for done in (50, 100, 150, 160)],
        (folders["dev"], len(dev), len(dev)),
    ]
    expected = trained.encode(train.texts).columns["pixels"]
    [batch] = data.batches(batch_tokens=13 * len(train), bucket=16, seed=0).epoch(0)
    np.testing.assert_array_equal(batch.inputs["pixels"], np.stack(expected)[batch.index])


def test_rows_in_memory_may_be_pictures(folders):
    rows = [Pillow.open(one) for one in sorted(folders["dev"].rglob("*.*"))]
    labels = [one.parent.name for one in sorted(folders["dev"].rglob("*.*"))]
    made = kt.train(CONFIG, train=(rows, labels), validation=0.5, epochs=1)
    assert made.recipe.data.digest


def test_a_table_of_bad_paths(trained, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "outside.png").write_bytes(b"")
    table = tmp_path / "data" / "rows.tsv"
    for path, message in (
        ("none.png", "rows.tsv, line 2: there is no image .*none.png"),
        ("../outside.png", "rows.tsv, line 2: Expected a path within .*data, got ../outside.png"),
    ):
        table.write_text(f"image\tlabel\n{path}\tfalls\n")
        with pytest.raises(InputError, match=message):
            trained.evaluate(str(table))
    (tmp_path / "data" / "bad.png").write_bytes(b"no picture")
    table.write_text("image\tlabel\nbad.png\tfalls\n")
    with pytest.raises(InputError, match="bad.png: expected a JPEG, PNG or WebP picture"):
        trained.evaluate(str(table))


@pytest.mark.parametrize(
    "precision", mostly_slow([one for one in PRECISIONS if one != "int4"], ["integer"])
)
def test_its_files_predict_the_same(trained, folders, precision):
    # Standardized logits of about 3; an int8 network of this depth is within a tenth of that.
    tolerance = {"float32": 1e-4, "float16": 1e-2}.get(precision, 0.5)
    check_file(trained, folders, precision, reads=("image", [13]), tolerance=tolerance)


def test_int4_names_the_patches(trained):
    with pytest.raises(InputError, match="multiple of 32 for int4, got 48 of patch_projection"):
        kt.convert(trained, "int4")


def test_pixels_are_stored_as_they_are(trained, folders):
    file = kt.convert(trained, "int8", calibration=str(folders["train"]))
    [pixels] = [one for one in kt.inspect(file).signatures["predict"] if one.role == "input"]
    assert (pixels.name, pixels.type, tuple(pixels.shape)) == ("pixels", "UINT8", (1, 16, 12, 3))
    assert "CAST" not in count_ops(unpack(file)[0])
    card = file.card(Path("m.tflite"))
    assert "It reads images of 12 x 16 pixels, to which others are resized." in card
    assert 'predict(["photo.jpg"])' in card
    assert "text" not in card and "token" not in card


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "precision"),
    [("micro", "integer"), ("onnx", "float32"), ("torchscript", "float32"),
     ("saved_model", "float32")],
)  # fmt: skip
def test_other_targets(trained, folders, target, precision):
    if target == "torchscript":
        pytest.importorskip("torch")
    calibration = str(folders["train"]) if precision == "integer" else None
    # Each is run by its own runtime on the checkpoint's rows before it is written.
    made = kt.convert(trained, precision, target=target, calibration=calibration)
    assert (made.parity.rows, made.parity.agreement) == (48, 1.0)


def test_mediapipe_stretches_images(trained):
    made = kt.convert(trained, target="mediapipe")
    assert made.parity.agreement == 1.0
    cropped = dataclasses.replace(
        trained, modality=Image(max_length=13, settings={**SETTINGS, "crop": 0.8})
    )
    with pytest.raises(InputError, match="stretched as a whole, as MediaPipe does it, got crop=0"):
        kt.convert(cropped, target="mediapipe")


@pytest.mark.parametrize(("target", "message"), [
    ("text", "Expected a model of texts for the target text, got one of images; convert for"),
    ("litertlm", "Expected a decoder, which is all that LiteRT-LM runs, got an encoder; "),
])  # fmt: skip
def test_targets_of_texts(trained, target, message):
    with pytest.raises(InputError, match=message):
        kt.convert(trained, target=target)


@pytest.mark.slow
def test_quantization_aware_training(trained, folders):
    check_quantized(trained, folders)


@pytest.mark.slow
def test_stochastic_depth_is_of_training_alone(folders):
    made = kt.train(
        CONFIG, train=str(folders["train"]), validation=str(folders["dev"]), epochs=2,
        batch_tokens=13 * 16, settings={"stochastic_depth": 0.5},
    )  # fmt: skip
    assert made.config.stochastic_depth == 0.5
    # The file has the outputs of the model that evaluates, and quantization trains on as ever.
    assert kt.convert(made).parity.agreement == 1.0
    assert kt.quantize(made, train=str(folders["train"]), epochs=1).metrics["validation"]
    with pytest.raises(InputError, match="stochastic_depth=0.5 only with blocks of their own"):
        CONFIG.replace(stochastic_depth=0.5, share_layers=True)
    with pytest.raises(InputError, match="stochastic_depth to be from 0 to below 1, got"):
        CONFIG.replace(stochastic_depth=1.0)


def test_options_that_have_no_meaning(folders):
    places = {"train": str(folders["train"]), "validation": str(folders["dev"])}
    with pytest.raises(InputError, match="Expected no max_length for a model that reads image"):
        kt.train("vit_tiny", **places, max_length=32)
    with pytest.raises(InputError, match="Expected token_dropout to be 0 for a model that reads"):
        kt.train(CONFIG, **places, token_dropout=0.1)
    with pytest.raises(InputError, match="Expected no lowercase for a model that reads image, wh"):
        kt.train(CONFIG, **places, lowercase=False)
    with pytest.raises(InputError, match="Expected no text column for .*train, where each"):
        kt.train(CONFIG, **places, text="photo")
    with pytest.raises(InputError, match="no label column for .*train, where each file's folder"):
        kt.train(CONFIG, **places, label="kind")
    with pytest.raises(InputError, match="a table .* for a model of texts, got a folder, which"):
        kt.train("bert_tiny", **places)
    with pytest.raises(InputError, match="Expected no image column for a model that reads"):
        kt.train("bert_tiny", train=(["a", "b"] * 8, ["x", "y"] * 8), validation=0.5, image="path")


def test_a_folder_of_classes_has_no_columns(trained, folders):
    data = str(folders["test"])
    for name in ("label", "image", "text"):
        with pytest.raises(InputError, match=f"no {name} column for {data}, .* got {name}='x'"):
            trained.evaluate(data, **{name: "x"})


def test_data_choose_a_model_of_images(tmp_path):
    arrays = tmp_path / "rows.npz"
    np.savez(arrays, image=np.zeros((8, 16, 16, 3), np.uint8), label=["a", "b"] * 4)
    with pytest.raises(InputError, match="two places behind convolutions=2, got height=1"):
        kt.train(train=arrays, validation=0.5, settings={"height": 1})
    write_folder(tmp_path / "mixed", 6)
    [first, *_] = (tmp_path / "mixed").iterdir()
    (first / "one.wav").write_bytes(b"")
    with pytest.raises(InputError, match="one.wav: expected a file that ends in .jpg"):
        kt.train(train=tmp_path / "mixed", validation=0.5)


def test_small_pictures_choose_the_size_of_the_model(folders):
    task = Classification().reading("image")
    found = task.suited(task.read(str(folders["train"])), {})
    assert (found["model"], found["settings"]["height"] % 4) == ("cct_4", 0)
    side, patch = found["settings"]["width"], found["settings"]["patch"]
    assert (side % patch, found["augment"]) == (0, "crop")
    large = [np.zeros((300, 400, 3), np.uint8)] * 3
    assert suited_to_pictures(large, {})["settings"] == {}
    for chosen, settings in (
        ({"height": 64}, {"height": 64, "width": 28, "patch": 4}),
        ({"height": 32, "width": 48}, {"height": 32, "width": 48, "patch": 4}),
        ({"patch": 9}, {"height": 27, "width": 27, "patch": 9}),
    ):
        small = [np.zeros((28, 30, 3), np.uint8)] * 3
        assert suited_to_pictures(small, chosen)["settings"] == settings
