"""Two toy modalities: a series of numbers, whose length varies, and a small picture."""

import dataclasses
from typing import ClassVar

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import (
    Features,
    InputSpec,
    Modality,
    check_settings,
    without_pairs,
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Series(Modality):
    """Frames of so many numbers (T, width), as a sensor measures them."""

    name: ClassVar[str] = "series"
    rows: ClassVar[str] = "series"

    @classmethod
    def specs(cls, settings, *, pair=False):
        check_settings(cls.name, settings, ["width"])
        without_pairs(cls.name, pair)
        return (
            InputSpec(name="frames", dtype="float32", shape=(None, settings["width"])),
            InputSpec(name="is_frame"),
        )

    def encode(self, rows, pairs=None):
        cut = [np.asarray(row, "float32")[: self.max_length] for row in rows]
        for row in cut:
            if row.ndim != 2 or row.shape[1] != self.settings["width"]:
                raise InputError(
                    f"Expected frames of {self.settings['width']} numbers, got an array of shape "
                    f"{row.shape}."
                )
        marks = [np.ones(len(row), "int32") for row in cut]
        truncated = [len(row) > self.max_length for row in rows]
        return Features({"frames": cut, "is_frame": marks}, truncated)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Picture(Modality):
    """Pictures (8, 8, 3) of bytes, in patches of 4 x 4."""

    name: ClassVar[str] = "picture"
    rows: ClassVar[str] = "pictures"

    @classmethod
    def specs(cls, settings, *, pair=False):
        check_settings(cls.name, settings, [])
        without_pairs(cls.name, pair)
        return (InputSpec(name="pixels", dtype="uint8", shape=(8, 8, 3), positions=4),)

    def encode(self, rows, pairs=None):
        return Features({"pixels": [np.asarray(row, "uint8") for row in rows]}, [False] * len(rows))
