"""Positions for inputs of other sizes: PyTorch's interpolation, and runs that begin with them."""

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.models.embedded.resized import resized_positions, resizing_note
from keras_transformer.zoo.progress import Report
from tests.zoo.modalities.test_audio_files import CONFIG as OF_SOUNDS
from tests.zoo.modalities.test_image import CONFIG, pictures

PATH = "patch_positions/embeddings"
RUN = {"validation": 0.25, "batch_tokens": 13 * 16, "learning_rate": 3e-3}


class Notes(Report):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "model"
    kt.train(CONFIG, train=pictures(96), epochs=3, **RUN).save(path)
    return path


def test_a_table_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    table = np.random.default_rng(0).normal(size=(13, 5)).astype("float32")
    for height, width in ((24, 8), (16, 20), (8, 12), (32, 48)):
        after = CONFIG.replace(height=height, width=width)
        found = resized_positions(PATH, table, CONFIG, after)
        grid = torch.tensor(table[1:]).reshape(1, 4, 3, 5).permute(0, 3, 1, 2)
        expected = torch.nn.functional.interpolate(
            grid, size=(height // 4, width // 4), mode="bicubic", align_corners=False
        ).permute(0, 2, 3, 1).reshape(-1, 5)  # fmt: skip
        np.testing.assert_array_equal(found[0], table[0])
        np.testing.assert_allclose(found[1:], expected.numpy(), atol=1e-5)


def test_sizes_that_make_no_sense():
    convolved = get_config("cct_2")
    for size in ((1, 1), (4, 4), (3, 40), (40, 3)):
        wanted = "at least 4 x 8 or 8 x 4 pixels, two places behind convolutions=2, got height="
        with pytest.raises(InputError, match=f"{wanted}{size[0]}, width={size[1]}"):
            convolved.replace(**dict(zip(("height", "width"), size, strict=True)))
    assert convolved.replace(height=4, width=8).max_length == 2
    with pytest.raises(InputError, match="at least 16 x 32 or 32 x 16 .* height=8, width=8"):
        get_config("vit_tiny").replace(height=8, width=8)
    with pytest.raises(InputError, match="convolutions=2, got height=1"):
        get_config("cct_2+bert_tiny").replace(**{"image.height": 1})
    strip, table = CONFIG.replace(height=4), np.zeros((4, 5))
    assert resized_positions(PATH, table, strip, strip.replace(width=20)).shape == (6, 5)
    for made in (lambda: resizing_note(strip, CONFIG),
                 lambda: resized_positions(PATH, table, strip, CONFIG)):  # fmt: skip
        with pytest.raises(InputError, match="from those of 1 x 3 places, got 4 x 3"):
            made()


@pytest.mark.parametrize("name", ["rate", "hop", "mels"])
def test_the_spectrogram_stays_that_of_the_weights(name):
    before = OF_SOUNDS.modality_settings
    other = before[name] * 2 if name == "rate" else before[name] // 2
    with pytest.raises(InputError, match=f"have learned, {before[name]}, got {name}={other}; "):
        resizing_note(OF_SOUNDS, OF_SOUNDS.replace(**{name: other}))


def test_what_has_no_other_size_stays():
    table = np.zeros((13, 5))
    assert resized_positions(PATH, table, CONFIG, CONFIG.replace(patch=4)) is table
    assert resized_positions("encoder/kernel", table, CONFIG, CONFIG.replace(height=32)) is table
    assert resizing_note(CONFIG, CONFIG.replace(patch=4)) is None
    sinusoidal = CONFIG.replace(positions="sinusoidal")
    assert resizing_note(sinusoidal, sinusoidal.replace(height=32)) is None
    convolved = get_config("cct_2")
    assert "of 8 x 8 places are interpolated to 9 x 12, as" in resizing_note(
        convolved, convolved.replace(height=33, width=48)
    )
    longer = OF_SOUNDS.replace(samples=4800)
    assert "of 14 x 1 places are interpolated to 29 x 1, as" in resizing_note(OF_SOUNDS, longer)


def test_a_run_begins_with_pictures_of_another_size(trained, tmp_path):
    report = Notes()
    larger = kt.train(
        str(trained), train=pictures(96), settings={"height": 24, "width": 20}, epochs=1,
        report=report, **{**RUN, "learning_rate": 1e-5},
    )  # fmt: skip
    assert any("of 4 x 3 places are interpolated to 6 x 5" in one for one in report.notes)
    assert larger.config.max_length == 31
    assert larger.encode(pictures(2)[0]).columns["pixels"][0].shape == (24, 20, 3)
    # It hardly learned anew: what it can do it had from its start.
    assert larger.metrics["validation"]["accuracy"] > 0.9
    larger.save(tmp_path / "larger")
    assert kt.load(tmp_path / "larger").evaluate(pictures(40, 5))["accuracy"] > 0.9
    with pytest.raises(InputError, match="patch_projection/kernel of shape"):
        kt.train(str(trained), train=pictures(32), settings={"patch": 2}, epochs=1, **RUN)
