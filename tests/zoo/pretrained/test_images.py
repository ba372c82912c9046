"""Published models of images against `transformers`: weights, and how their pictures are read."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

import keras_transformer as kt
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.pretrained.load import load_pretrained
from tests.zoo.pretrained import tiny_images


@pytest.fixture
def folder(tmp_path):
    tiny_images.write(tmp_path)
    return tmp_path


def change(folder, name, **changes):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_logits_are_the_published_ones(tmp_path):
    reference = tiny_images.write(tmp_path)
    published = kt.load(tmp_path)
    assert published.labels == ("cat", "dog", "owl")
    found = np.asarray(published.model({"pixels": reference["pixels"]}))
    # The standardization is folded into the projection, in another order of float32 sums.
    np.testing.assert_allclose(found, reference["logits"], atol=2e-6)
    runner = Runner(kt.convert(published))
    rows = list(reference["pixels"])
    np.testing.assert_allclose(runner.scores(rows), published.scores(rows), atol=2e-6)


def test_positions_for_another_size_are_the_published_ones(tmp_path):
    reference = tiny_images.write(tmp_path)
    published = load_pretrained(tmp_path)
    height, width = tiny_images.LARGE
    config = published.config.replace(height=height, width=width)
    head = kt.load(tmp_path).task
    model = build(config, head)
    larger = dataclasses.replace(published, config=config, stored_config=published.config)
    larger.assign(model, head=True)
    found = np.asarray(model({"pixels": reference["large_pixels"]}))
    np.testing.assert_allclose(found, reference["large_logits"], atol=5e-6)


def test_pictures_are_read_as_published(folder):
    """As the published steps: the whole in 20 x 20 pixels, and the middle 16 x 16 of them."""
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8))
    picture = np.asarray(small.resize((90, 60), Image.Resampling.BICUBIC))
    whole = Image.fromarray(picture).resize((20, 20), Image.Resampling.BICUBIC)
    expected = np.asarray(whole)[2:18, 2:18]
    [found] = kt.load(folder).encode([picture]).columns["pixels"]
    # At its borders the middle is resampled without what is outside.
    np.testing.assert_array_equal(found[2:-2, 2:-2], expected[2:-2, 2:-2])
    assert np.abs(found.astype(int) - expected).max() <= 24


def test_it_is_trained_on(folder, tmp_path):
    rng = np.random.default_rng(0)
    rows = [np.full((16, 16, 3), 60 + 100 * (k % 2), np.uint8) for k in range(64)]
    rows = [np.clip(row + rng.normal(0, 5, row.shape), 0, 255).astype(np.uint8) for row in rows]
    labels = [("dark", "light")[k % 2] for k in range(64)]
    trained = kt.train(
        str(folder), train=(rows, labels), validation=0.25, epochs=6, learning_rate=3e-3
    )
    assert trained.metrics["validation"]["accuracy"] == 1.0
    assert trained.config.modality_settings["crop"] == 0.8
    out = tmp_path / "own"
    trained.save(out)
    again = kt.train(str(out), train=(rows, labels), validation=0.25, epochs=1)
    assert again.metrics["validation"]["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rescale_factor": 1.0}, "do_rescale by 1/255, got"),
        ({"resample": 0}, "do_resize with resample 2 or 3, got"),
        ({"crop_size": {"height": 8, "width": 8}}, "crop_size to be 16 x 16, got"),
        ({"size": {"height": 20, "width": 30}}, "a crop of both sides alike, got"),
        ({"size": {"longest_edge": 20}}, "size to have height and width, or shortest_edge, got"),
        ({"do_center_crop": False}, "size to be 16 x 16, got"),
        ({"image_mean": [0.5]}, "image_mean to be 3 numbers, got"),
        ({"image_std": [0.5, 0.5, 0.0]}, "image_std to be 3 numbers, got"),
        ({"do_pad": True}, "keys whose meaning is known, got do_pad=True"),
    ],
)
def test_other_ways_to_read_pictures(folder, changes, message):
    change(folder, "preprocessor_config.json", **changes)
    with pytest.raises(InputError, match=message):
        kt.load(folder)


def test_what_is_missing(folder):
    change(folder, "config.json", image_size=32)
    with pytest.raises(InputError, match="crop_size to be 32 x 32"):
        kt.load(folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match="Expected preprocessor_config.json in .*, which says how"):
        kt.load(folder)


def test_it_has_no_vocabulary(folder):
    with pytest.raises(InputError, match="Expected no prune_vocabulary for .*, which reads image"):
        kt.load(folder, prune_vocabulary=["a text"])
