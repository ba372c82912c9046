"""Small photos: a toy modality of floats, whose embedding is a convolutional tokenizer."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer import ConvolutionalTokenizer
from keras_transformer.zoo.modalities.modality import (
    Features,
    InputSpec,
    Modality,
    check_settings,
    without_pairs,
)
from keras_transformer.zoo.modalities.registry import MODALITIES
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.inputs import EMBEDDINGS
from keras_transformer.zoo.tasks.classification import Classification

NAME = "photo"
LABELS = ("falls", "rises")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Photo(Modality):
    """Photos (8, 8, 3) of bytes, as numbers from 0 to 1."""

    name: ClassVar[str] = NAME
    rows: ClassVar[str] = "photos"

    @classmethod
    def specs(cls, settings, *, pair=False):
        check_settings(cls.name, settings, [])
        without_pairs(cls.name, pair)
        return (InputSpec(name="pixels", dtype="float32", shape=(8, 8, 3), positions=4),)

    def encode(self, rows, pairs=None):
        pixels = [np.asarray(row, "float32") / 255.0 for row in rows]
        return Features({"pixels": pixels}, [False] * len(rows))


def embed_photo(parts, inputs):
    """Two convolutions, and the place of each of their four vectors; none is padding."""
    x = parts.point("pixels_point")(inputs["pixels"])
    x = ConvolutionalTokenizer(
        parts.config.hidden_dim, num_layers=2, inner_units=8, bits=parts.bits, dtype=parts.dtype,
        name=parts.named("tokenizer"),
    )(x)  # fmt: skip
    x = parts.inner_point("position_sum_point")(parts.add_positions(x))
    return parts.embedded(x), None


def registered():
    """A context in which models may read photos."""
    patch = pytest.MonkeyPatch()
    patch.setitem(MODALITIES, NAME, Photo)
    patch.setitem(EMBEDDINGS, NAME, embed_photo)
    return patch


def config(**changes):
    return TransformerConfig(**{
        "architecture": "encoder", "hidden_dim": 32, "intermediate_dim": 64, "num_layers": 1,
        "num_heads": 2, "max_length": 4, "pooling": "attention", "dropout": 0.0,
        "attention_dropout": 0.0, "modality": NAME, **changes,
    })  # fmt: skip


def rows_of(count, seed=0):
    """Photos whose rows become lighter, or darker, and which of the two they do."""
    rng = np.random.default_rng(seed)
    labels = [LABELS[k] for k in rng.integers(0, 2, count)]
    photos = []
    for label in labels:
        slope = 1.0 if label == "rises" else -1.0
        photo = rng.normal(128, 30, (8, 8, 3)) + slope * np.linspace(-30, 30, 8)[:, None, None]
        photos.append(np.clip(photo, 0, 255).astype("uint8"))
    return photos, labels


def trained(epochs=3, **changes):
    """A classifier of photos."""
    return kt.train(
        config(**changes), Classification(), train=rows_of(192), validation=rows_of(64, seed=1),
        epochs=epochs, learning_rate=0.01, batch_tokens=128,
    )  # fmt: skip
