"""The image modality: pictures of one size as 8-bit pixels."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from keras_transformer.zoo.errors import InputError, placed
from keras_transformer.zoo.media.class_folders import row_file
from keras_transformer.zoo.media.pictures import (
    FILTERS,
    SUFFIXES,
    checked_pixels,
    described,
    fitted,
    is_pillow,
    pillow_pixels,
    pixels_of,
    read_picture,
)
from keras_transformer.zoo.modalities.modality import (
    Features,
    InputSpec,
    Modality,
    without_pairs,
)
from keras_transformer.zoo.modalities.settings import ModalitySettings

# Pixels along a side of the largest input: 16 million of them.
_MOST_SIDE = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSettings(ModalitySettings):
    """How pictures are read, and divided into patches.

    Attributes:
        height, width: size of the model's input in pixels, of which there are at least two vectors.
        channels: 1 for grey, 3 for red, green and blue.
        patch: side of a patch in pixels, which divides height and width; without meaning where
            convolutions make the vectors.
        convolutions: number of convolutions that make the vectors, each of which halves height and
            width; 0 for patches.
        class_tokens: number of learned vectors before the patches: 1 where the first is pooled.
        crop, stretch: see `fitted`.
        method: method of resizing, `bilinear` or `bicubic`.
    """

    modality: ClassVar[str] = "image"

    height: int
    width: int
    channels: int = 3
    patch: int = 16
    convolutions: int = 0
    class_tokens: int = 1
    crop: float = 1.0
    stretch: bool = True
    method: str = "bilinear"

    def __post_init__(self):
        self._check_integers(
            ("height", 1, _MOST_SIDE), ("width", 1, _MOST_SIDE), ("patch", 1, _MOST_SIDE),
            ("convolutions", 0, 8), ("class_tokens", 0, 1),
        )  # fmt: skip
        if self.channels not in (1, 3) or type(self.channels) is not int:
            raise InputError(f"Expected channels to be 1 or 3, got channels={self.channels!r}.")
        if self.convolutions and self.class_tokens:
            raise InputError(
                "Expected class_tokens to be 0 with convolutions, got "
                f"class_tokens={self.class_tokens}."
            )
        self._check_size()
        if type(self.crop) not in (int, float) or not 0 < self.crop <= 1:
            raise InputError(f"Expected crop to be above 0 and at most 1, got crop={self.crop!r}.")
        if not isinstance(self.stretch, bool):
            raise InputError(f"Expected stretch to be true or false, got stretch={self.stretch!r}.")
        if self.method not in FILTERS:
            raise InputError(
                f"Expected method to be one of {', '.join(FILTERS)}, got method={self.method!r}."
            )

    def _check_size(self):
        side, made = self._side, f"patches of {self.patch} pixels"
        if self.convolutions:
            made = f"places behind convolutions={self.convolutions}"
        if min(self.height, self.width) < side or max(self.height, self.width) < 2 * side:
            raise InputError(
                f"Expected a size of at least {side} x {2 * side} or {2 * side} x {side} pixels, "
                f"two {made}, got height={self.height}, width={self.width}."
            )
        if not self.convolutions and (self.height % side or self.width % side):
            down, across = (size - size % side for size in (self.height, self.width))
            raise InputError(
                f"Expected patch to divide height and width, got patch={side} of {self.height} x "
                f"{self.width}; a size that it divides is {max(down, side)} x {max(across, side)}."
            )

    @property
    def _side(self) -> int:
        """Pixels along a side of what one vector is made of."""
        return 2**self.convolutions if self.convolutions else self.patch

    @property
    def grid(self) -> tuple[int, int]:
        """Numbers of patches, or of the places of the last convolution, down and across."""
        return -(-self.height // self._side), -(-self.width // self._side)

    @property
    def num_patches(self) -> int:
        """Number of patches, or of the places of the last convolution."""
        return self.grid[0] * self.grid[1]

    @property
    def positions(self) -> int:
        """Number of vectors that the model's stack reads."""
        return self.class_tokens + self.num_patches


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Image(Modality):
    """Pictures as uint8 `pixels` (height, width, channels), see `ImageSettings`.

    A raw row is the path of a JPEG, PNG or WebP, its bytes, a picture of Pillow's, or an array of
    uint8 pixels of any size; Pillow decodes files and resizes what has another size than the
    model's.
    """

    name: ClassVar[str] = "image"
    rows: ClassVar[str] = "images"
    one: ClassVar[str] = "an image"
    example: ClassVar[str] = '"photo.jpg"'
    column: ClassVar[str] = "image"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    @classmethod
    def specs(cls, settings: Mapping[str, Any], *, pair: bool = False) -> tuple[InputSpec, ...]:
        without_pairs(cls.name, pair)
        of = ImageSettings.of(settings)
        shape = (of.height, of.width, of.channels)
        return (InputSpec(name="pixels", dtype="uint8", shape=shape, positions=of.positions),)

    def encode(self, rows: Sequence[Any], pairs: Sequence[Any] | None = None) -> Features:
        of = ImageSettings.of(self.settings)
        pixels = [
            fitted(
                _pixels(row, of.channels), of.height, of.width, crop=of.crop, stretch=of.stretch,
                method=of.method,
            )
            for row in rows
        ]
        return Features({"pixels": pixels}, [False] * len(rows))

    def checked(
        self, rows: Iterable[Any], pairs: Iterable[Any] | None = None
    ) -> tuple[list[Any], list[Any] | None]:
        # Three axes are a picture if the last is that of channels, or else several grey ones.
        shape = np.shape(rows) if isinstance(rows, np.ndarray) else ()
        is_one = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
        if isinstance(rows, str | Path | bytes) or is_pillow(rows) or is_one:
            raise TypeError(
                f"Expected a list of {self.rows}, got {described(rows)}; put it in a list."
            )
        found, _ = super().checked(rows, pairs)
        return [_raw(row, place) for place, row in enumerate(found, start=1)], None

    def limit(self) -> str:
        of = ImageSettings.of(self.settings)
        kind = "grey images" if of.channels == 1 else "images"
        return f"It reads {kind} of {of.width} x {of.height} pixels, to which others are resized."

    @classmethod
    def read_row(cls, value: Any, place: str, folder: Path | None = None) -> Any:
        if isinstance(value, np.ndarray):
            return _checked(value, place)
        if isinstance(value, bytes) or is_pillow(value):
            return value
        if not isinstance(value, str | Path):
            raise InputError(f"{place}: expected the path of an image, got {described(value)}.")
        return row_file(value, place, folder, "image")


def _raw(row: Any, place: int) -> Any:
    """A caller's row: a path, bytes, an array, or a picture of Pillow's."""
    if isinstance(row, str | Path | bytes) or is_pillow(row):
        return row
    if not hasattr(row, "__array__"):
        raise TypeError(
            "Expected images to be paths, bytes, uint8 arrays or Pillow's pictures, got "
            f"{described(row)} in place {place}."
        )
    return _checked(np.asarray(row), f"place {place}")


def _checked(pixels: np.ndarray, place: str) -> np.ndarray:
    """Pixels in memory; InputError with their place if they are none."""
    with placed(place):
        checked_pixels(pixels)
    return pixels


def _pixels(row: Any, channels: int) -> np.ndarray:
    if isinstance(row, np.ndarray):
        return pixels_of(row, channels)
    return (pillow_pixels if is_pillow(row) else read_picture)(row, channels)
