"""Pictures from files and arrays; the references are Pillow's own steps and made pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.media import pictures
from keras_transformer.zoo.media.pictures import (
    fitted,
    picture_size,
    pillow_pixels,
    pixels_of,
    read_picture,
)

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (7, 5, 3), np.uint8)


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_lossless_files_are_their_pixels(kind, options, tmp_path):
    data = encoded(Image.fromarray(COLOURS), kind, **options)
    path = tmp_path / "picture"
    path.write_bytes(data)
    for source in (data, path, str(path)):
        np.testing.assert_array_equal(read_picture(source, 3), COLOURS)
        assert picture_size(source) == (7, 5)


def test_jpeg_is_near_its_pixels():
    smooth = np.linspace(0, 255, 64 * 48 * 3).reshape(64, 48, 3).astype(np.uint8)
    found = read_picture(encoded(Image.fromarray(smooth), "JPEG", quality=95), 3)
    # Quality 95 loses a few levels of a gradient.
    assert np.abs(found.astype(int) - smooth).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_obeyed(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {
        1: COLOURS, 2: COLOURS[:, ::-1], 3: COLOURS[::-1, ::-1], 4: COLOURS[::-1],
        5: COLOURS.swapaxes(0, 1), 6: np.rot90(COLOURS, -1),
        7: COLOURS.swapaxes(0, 1)[::-1, ::-1], 8: np.rot90(COLOURS),
    }  # fmt: skip
    data = encoded(Image.fromarray(COLOURS), exif=exif)
    np.testing.assert_array_equal(read_picture(data, 3), turned[orientation])


def test_other_kinds_of_pixels():
    grey = COLOURS[:, :, 0]
    assert (read_picture(encoded(Image.fromarray(grey)), 3) == grey[:, :, None]).all()
    np.testing.assert_array_equal(read_picture(encoded(Image.fromarray(grey)), 1)[..., 0], grey)
    # 16 bits: the full range of the one is that of the other.
    wide = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    found = read_picture(encoded(Image.fromarray(wide)), 1)
    np.testing.assert_array_equal(found[..., 0], np.arange(256).reshape(16, 16))
    # A palette of eight colours.
    few = (COLOURS // 128 * 128).astype(np.uint8)
    palette = Image.fromarray(few).quantize(8)
    np.testing.assert_array_equal(
        read_picture(encoded(palette), 3), np.asarray(palette.convert("RGB"))
    )
    # Transparency is left out.
    clear = np.dstack([COLOURS, RNG.integers(0, 256, (7, 5), np.uint8)])
    np.testing.assert_array_equal(read_picture(encoded(Image.fromarray(clear)), 3), COLOURS)
    inks = Image.fromarray(np.full((16, 16, 3), 200, np.uint8)).convert("CMYK")
    assert np.abs(read_picture(encoded(inks, "JPEG"), 3).astype(int) - 200).max() <= 2


def test_what_is_no_picture(tmp_path, monkeypatch):
    whole = encoded(Image.fromarray(COLOURS))
    for name, data in (
        ("empty.png", b""), ("text.jpg", b"a text"), ("cut.png", whole[: len(whole) // 2]),
        ("other.gif", encoded(Image.fromarray(COLOURS), "GIF")),
    ):  # fmt: skip
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: expected a JPEG, PNG or WebP picture, got"):
            read_picture(path, 3)
    with pytest.raises(FileNotFoundError, match="There is no file .*none.png"):
        read_picture(tmp_path / "none.png", 3)
    with pytest.raises(InputError, match="expected a picture, got a folder"):
        read_picture(tmp_path, 3)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 34)
    with pytest.raises(InputError, match="the bytes: expected a picture of at most 34 pixels, got"):
        read_picture(whole, 3)


def test_arrays():
    assert pixels_of(COLOURS, 3) is COLOURS
    grey = COLOURS[:, :, 1]
    for given in (grey, grey[:, :, None]):
        np.testing.assert_array_equal(pixels_of(given, 3), np.repeat(grey[:, :, None], 3, axis=2))
        np.testing.assert_array_equal(pixels_of(given, 1), grey[:, :, None])
    expected = np.asarray(Image.fromarray(COLOURS).convert("L"))
    np.testing.assert_array_equal(pixels_of(COLOURS, 1)[..., 0], expected)
    with pytest.raises(InputError, match="from 0 to 255 as uint8, got an array of float64"):
        pixels_of(COLOURS / 255.0, 3)
    for shape in ((7,), (7, 5, 4), (7, 0, 3), (1, 7, 5, 3)):
        with pytest.raises(InputError, match="got an array of shape"):
            pixels_of(np.zeros(shape, np.uint8), 3)


@pytest.mark.parametrize("method", pictures.FILTERS)
def test_sizes(method):
    large = RNG.integers(0, 256, (60, 90, 3), np.uint8)
    kind = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[method]
    for crop, stretch, height, width, box in (
        (1.0, True, 12, 16, (0, 0, 90, 60)),
        # The middle 30 x 45, and 30 x 30.
        (0.5, True, 10, 10, (22.5, 15, 67.5, 45)),
        (0.5, False, 10, 10, (30, 15, 60, 45)),
        (1.0, False, 6, 18, (0, 15, 90, 45)),
    ):
        expected = np.asarray(Image.fromarray(large).resize((width, height), kind, box))
        found = fitted(large, height, width, crop=crop, stretch=stretch, method=method)
        np.testing.assert_array_equal(found, expected)
    assert fitted(large, 60, 90, crop=1.0, stretch=True, method=method) is large
    grey = fitted(large[:, :, :1], 12, 16, crop=1.0, stretch=True, method=method)
    assert grey.shape == (12, 16, 1)


def test_pictures_of_pillow_are_read_as_their_files(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    few = Image.fromarray((COLOURS // 128 * 128).astype(np.uint8)).quantize(8)
    clear = np.dstack([COLOURS, COLOURS[:, :, :1]])
    wide = Image.fromarray(np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16))
    for number, (picture, options) in enumerate((
        (Image.fromarray(COLOURS), {}), (Image.fromarray(COLOURS), {"exif": exif}), (few, {}),
        (Image.fromarray(clear), {}), (wide, {}), (Image.fromarray(COLOURS).convert("1"), {}),
    )):  # fmt: skip
        path = tmp_path / f"{number}.png"
        picture.save(path, **options)
        for channels in (1, 3):
            found = pillow_pixels(Image.open(path), channels)
            np.testing.assert_array_equal(found, read_picture(path, channels))
    (tmp_path / "cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    with pytest.raises(InputError, match="a PngImageFile: expected a JPEG, PNG or WebP picture"):
        with Image.open(tmp_path / "cut.png") as cut:
            pillow_pixels(cut, 3)
