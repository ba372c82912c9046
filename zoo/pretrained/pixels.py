"""How a published model of images reads pictures: its preprocessor_config.json."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_transformer.patches import PIXEL_CENTER
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.pretrained.vocabularies.files import read_json

PREPROCESSOR = "preprocessor_config.json"
# Numbers of Pillow's filters, which the files have.
_METHODS = {2: "bilinear", 3: "bicubic"}
# What changes nothing here: names, and what is always done.
_HARMLESS = (
    "image_processor_type", "feature_extractor_type", "processor_class", "do_convert_rgb",
    "data_format", "device", "disable_grouping", "return_tensors", "input_data_format",
    "_valid_processor_keys", "pad_size", "default_to_square", "crop_pct", "image_seq_length",
)  # fmt: skip
_LARGEST = 255.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedPixels:
    """What is done with a picture before a published model.

    Attributes:
        settings: `modality_settings` that follow from it: crop, stretch, method.
        mean, deviation: of each channel, in which pixels from 0 to 1 are standardized.
    """

    settings: Mapping[str, Any]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of_folder(cls, folder: Path, config: TransformerConfig) -> Self:
        """Reads a folder that `transformers` wrote.

        Args:
            folder: the folder.
            config: config of the model, with the size of its input.

        Raises:
            InputError: if there is no such file, or pictures are read in another way than here.
        """
        path = folder / PREPROCESSOR
        values = read_json(path)
        if not values:
            raise InputError(
                f"Expected {PREPROCESSOR} in {folder}, which says how the model reads pictures, "
                "got none."
            )
        size = config.modality_settings["height"], config.modality_settings["width"]
        read = _Reader(values, path)
        settings = read.fitting(size)
        mean, deviation = read.standard(config.modality_settings["channels"])
        read.check_rest()
        return cls(settings=settings, mean=mean, deviation=deviation)

    def fold(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the projection of our pixels, `(v - 128) / 128`, from that of theirs.

        Theirs are `(v / 255 - mean) / deviation`.

        Args:
            kernel: (patch * patch * channels, D), channels last.
            bias: (D,).
        """
        channels = len(self.mean)
        deviation = np.array(self.deviation, np.float64)
        places = len(kernel) // channels
        scale = np.tile(PIXEL_CENTER / (_LARGEST * deviation), places)
        shift = np.tile((PIXEL_CENTER / _LARGEST - np.array(self.mean)) / deviation, places)
        wide = kernel.astype(np.float64)
        folded = wide * scale[:, None], bias + shift @ wide
        return folded[0].astype(np.float32), folded[1].astype(np.float32)


class _Reader:
    """The values of a file, which remembers those that were read."""

    def __init__(self, values: Mapping[str, Any], path: Path):
        self.values, self.path = values, path
        self.read: set[str] = set(_HARMLESS)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        value = self.values.get(key)
        return default if value is None else value

    def fitting(self, size: tuple[int, int]) -> dict[str, Any]:
        """The settings of `fitted` that lead to a size."""
        resized, cropped = self.get("do_resize", True), self.get("do_center_crop", False)
        method = _METHODS.get(self.get("resample", 2))
        wanted, crop_size = self.get("size", {}), self.get("crop_size", {})
        if not resized or method is None:
            raise self._error("do_resize with resample 2 or 3", f"do_resize={resized}")
        sides = _sides(wanted)
        if cropped and _sides(crop_size) != size:
            raise self._error(f"crop_size to be {size[0]} x {size[1]}", f"crop_size={crop_size}")
        if isinstance(wanted, Mapping) and set(wanted) == {"shortest_edge"}:
            shortest = wanted["shortest_edge"]
            if not cropped or type(shortest) is not int or shortest < max(size):
                raise self._error("a crop of the shortest edge", f"size={wanted}")
            return {"crop": min(size) / shortest, "stretch": False, "method": method}
        if sides is None:
            raise self._error("size to have height and width, or shortest_edge", f"size={wanted}")
        if not cropped:
            if sides != size:
                raise self._error(f"size to be {size[0]} x {size[1]}", f"size={wanted}")
            return {"crop": 1.0, "stretch": True, "method": method}
        shares = size[0] / sides[0], size[1] / sides[1]
        if shares[0] != shares[1] or shares[0] > 1:
            raise self._error("a crop of both sides alike", f"size={wanted}, crop_size={crop_size}")
        return {"crop": shares[0], "stretch": True, "method": method}

    def standard(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of each channel."""
        scaled, factor = self.get("do_rescale", True), self.get("rescale_factor", 1 / _LARGEST)
        if not scaled or abs(factor * _LARGEST - 1) > 1e-6:
            raise self._error("do_rescale by 1/255", f"do_rescale={scaled}, factor {factor}")
        if not self.get("do_normalize", True):
            self.get("image_mean"), self.get("image_std")
            return (0.0,) * channels, (1.0,) * channels
        found = []
        for key in ("image_mean", "image_std"):
            numbers = self.get(key, [0.5] * channels)
            is_list = isinstance(numbers, list) and len(numbers) == channels
            least = 0.0 if key == "image_mean" else 1e-6
            if not is_list or not all(
                type(one) in (int, float) and least <= one <= 1e6 for one in numbers
            ):
                raise self._error(f"{key} to be {channels} numbers", f"{key}={numbers!r}")
            found.append(tuple(map(float, numbers)))
        return found[0], found[1]

    def check_rest(self) -> None:
        for key in sorted(set(self.values) - self.read):
            if self.values[key] not in (None, False, [], {}):
                raise self._error("keys whose meaning is known", f"{key}={self.values[key]!r}")

    def _error(self, wanted: str, got: str) -> InputError:
        return InputError(f"Expected {self.path} to have {wanted}, got {got}.")


def _sides(size: Any) -> tuple[int, int] | None:
    """Height and width, also of one number for both; None where they are not said."""
    if type(size) is int:
        return size, size
    if isinstance(size, Mapping) and {"height", "width"} <= set(size):
        found = size["height"], size["width"]
        return found if all(type(one) is int and one > 0 for one in found) else None
    return None


def probe_pictures(height: int, width: int, channels: int) -> list[np.ndarray]:
    """Returns pictures on which a converted model is compared: its own data are not known.

    They are smooth patterns of several sizes in several colours, noise, and one colour.
    """
    rng, pictures = np.random.default_rng(0), []
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    for waves in (0, 1, 2, 3, 5, 8, 13, 21):
        for contrast in (30, 100):
            angle, phases = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, channels)
            along = 2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle))
            noise = rng.normal(0, contrast / 4, (height, width, channels))
            values = 128 + contrast * np.sin(along[:, :, None] + phases) + noise
            pictures.append(np.clip(values, 0, 255).astype(np.uint8))
    return pictures
