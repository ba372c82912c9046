"""Pictures from files, bytes and arrays as 8-bit pixels of one size."""

import contextlib
import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.errors import InputError, no_file
from keras_transformer.zoo.media.class_folders import named_file
from keras_transformer.zoo.printable import shortened_value

FORMATS = ("JPEG", "PNG", "WEBP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Pixels of the largest picture that is decoded: a small file may claim any number of them. It is
# below the number at which Pillow warns.
MOST_PIXELS = 1 << 26
_MODES = {1: "L", 3: "RGB"}
FILTERS = ("bilinear", "bicubic")


def picture_size(source: Any) -> tuple[int, int]:
    """Returns height and width of a picture in a file, or of an array, without decoding it.

    Raises:
        FileNotFoundError, InputError: see `read_picture`.
    """
    if isinstance(source, np.ndarray):
        return source.shape[0], source.shape[1]
    with _opened(source) as picture:
        return picture.height, picture.width


def read_picture(source: str | Path | bytes, channels: int) -> np.ndarray:
    """Decodes a JPEG, PNG or WebP, upright as its EXIF orientation says.

    Palettes, CMYK and 16 bits become 8 bits of grey or of red, green and blue; transparency is
    left out.

    Args:
        source: path, or the bytes of a file.
        channels: 1 for grey, 3 for colours.

    Returns:
        uint8 (height, width, channels).

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such picture, truncated, or larger than `MOST_PIXELS`.
    """
    with _opened(source) as picture:
        picture.load()
        return _pixels(_upright(_eight_bits(picture)), channels)


@contextlib.contextmanager
def _opened(source):
    """A picture of which only the header was read; what its decoder raises is an InputError."""
    image = _pillow()
    is_bytes = isinstance(source, bytes)
    name = "the bytes" if is_bytes else named_file(source)
    if not is_bytes and os.path.isdir(source):
        raise InputError(f"{name}: expected a picture, got a folder.")
    with _decoding(name):
        with image.open(io.BytesIO(source) if is_bytes else source, formats=FORMATS) as picture:
            _check_size(picture, name)
            yield picture


def _check_size(picture, name):
    if picture.width * picture.height > MOST_PIXELS:
        raise InputError(
            f"{name}: expected a picture of at most {MOST_PIXELS} pixels, got {picture.width} x "
            f"{picture.height}."
        )


@contextlib.contextmanager
def _decoding(name):
    """What Pillow's decoders raise becomes an InputError with a name."""
    image = _pillow()
    try:
        yield
    except FileNotFoundError:
        raise no_file(name) from None
    except InputError:
        raise
    # What Pillow's decoders raise for damaged files; OSError includes UnidentifiedImageError.
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, image.DecompressionBombError,
    ) as error:  # fmt: skip
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise InputError(
            f"{name}: expected a JPEG, PNG or WebP picture, got what cannot be decoded ({reason})."
        ) from None


def is_pillow(value: Any) -> bool:
    """Whether a value is a picture of Pillow's, which need not be installed."""
    return any(kind.__module__ == "PIL.Image" for kind in type(value).__mro__)


def pillow_pixels(picture: Any, channels: int) -> np.ndarray:
    """Returns the pixels of a picture of Pillow's, as `read_picture` does those of its file.

    Raises:
        InputError: if its file is truncated, or it is larger than `MOST_PIXELS`.
    """
    with _decoding(described(picture)):
        _check_size(picture, described(picture))
        picture.load()
        return _pixels(_upright(_eight_bits(picture)), channels)


def checked_pixels(array: Any) -> np.ndarray:
    """Returns pixels in memory as they are, as uint8 (height, width, 1 or 3).

    Args:
        array: uint8 (height, width) or (height, width, 1) of grey, or (height, width, 3).

    Raises:
        InputError: if it is no such array, or has no pixels.
    """
    pixels = np.asarray(array)
    if pixels.dtype != np.uint8:
        raise InputError(
            f"Expected pixels from 0 to 255 as uint8, got an array of {pixels.dtype}."
        )
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in _MODES or not pixels.size:
        raise InputError(
            "Expected pixels (height, width), or (height, width, 1 or 3), got an array of shape "
            f"{np.shape(array)}."
        )
    return pixels


def pixels_of(array: Any, channels: int) -> np.ndarray:
    """Returns pixels in memory as uint8 (height, width, channels).

    Args:
        array: see `checked_pixels`.
        channels: 1 for grey, 3 for colours; the other is converted as of files.

    Raises:
        InputError: see `checked_pixels`.
    """
    pixels = checked_pixels(array)
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return _pixels(_pillow().fromarray(pixels), channels)


def fitted(
    pixels: np.ndarray, height: int, width: int, *, crop: float, stretch: bool, method: str
) -> np.ndarray:
    """Returns the middle of a picture in another size.

    Args:
        pixels: uint8 (H, W, channels).
        height, width: size to return.
        crop: share of the middle in both directions, such as 0.875 for 224 of 256 pixels.
        stretch: whether the middle is stretched to the size, not cut to its proportions first.
        method: `bilinear` or `bicubic`, over as many pixels as one stands for.

    Returns:
        uint8 (height, width, channels).
    """
    if pixels.shape[:2] == (height, width) and crop == 1:
        return pixels
    image = _pillow()
    tall, wide = pixels.shape[:2]
    scales = tall / height, wide / width
    if not stretch:
        scales = (min(scales),) * 2
    # The middle in pixels of the picture, so that it is resampled once.
    half = crop * scales[0] * height / 2, crop * scales[1] * width / 2
    box = (
        max(0.0, wide / 2 - half[1]), max(0.0, tall / 2 - half[0]),
        min(float(wide), wide / 2 + half[1]), min(float(tall), tall / 2 + half[0]),
    )  # fmt: skip
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    kind = {"bilinear": image.Resampling.BILINEAR, "bicubic": image.Resampling.BICUBIC}[method]
    resized = image.fromarray(np.ascontiguousarray(flat)).resize((width, height), kind, box)
    return np.asarray(resized, np.uint8).reshape(height, width, pixels.shape[2])


def described(value: Any) -> str:
    """Returns a raw picture in messages: its path, or its kind."""
    if isinstance(value, str | Path):
        return named_file(value)
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, bytes) or is_pillow(value):
        return f"a {type(value).__name__}"
    return f"{type(value).__name__} {shortened_value(value)}"


def _pillow():
    """Pillow's module, an extra that pictures in files or of another size need."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise InputError(
            "Expected Pillow to read pictures, which is not installed: pip install "
            "'keras-transformer-zoo[image]'."
        ) from None
    return Image


def _upright(picture):
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)


def _eight_bits(picture):
    """A picture of 16 bits in 8; Pillow itself would clip it."""
    if not picture.mode.startswith("I") and picture.mode != "F":
        return picture
    values = np.asarray(picture).astype(np.float64)
    made = _pillow().fromarray(np.clip(np.rint(values / 257.0), 0, 255).astype(np.uint8))
    made.info.update(picture.info)
    return made


def _pixels(picture, channels):
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    pixels = np.asarray(picture.convert(_MODES[channels]), np.uint8)
    return pixels.reshape(*pixels.shape[:2], channels)
