"""Toy pictures with captions that a tiny pair of encoders learns to match, and such a model."""

import functools

import numpy as np

import keras_transformer as kt
from tests.picture_tables import write_table

COLORS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
CAPTIONS = [f"a {color} slope that {way}" for color in COLORS for way in ("rises", "falls")]
SETTINGS = {
    "hidden_dim": 16, "intermediate_dim": 32, "num_layers": 1, "num_heads": 2, "dropout": 0.0,
    "image.convolutions": 1, "image.height": 8, "image.width": 8,
}  # fmt: skip
OPTIONS = {
    "model": "cct_2+bert_tiny", "epochs": 6, "learning_rate": 0.01, "batch_tokens": 512,
    "vector_dim": 16, "settings": SETTINGS,
}  # fmt: skip


def pictures(count, seed=0):
    """Pictures of one color that get darker downwards or lighter, and their captions."""
    rng = np.random.default_rng(seed)
    which, made = rng.integers(0, len(CAPTIONS), count), []
    for one in which:
        color = list(COLORS.values())[one // 2]
        slope = np.linspace(-60, 60, 8)[:, None, None] * (1 if one % 2 == 0 else -1)
        values = (rng.normal(150, 5, (8, 8, 3)) + slope) * color
        made.append(np.clip(values, 0, 255).astype("uint8"))
    return {"image": made, "text": [CAPTIONS[one] for one in which]}


def write_pictures(folder, count, seed=0):
    """Writes pictures, named by their captions, and a table of them; returns its path."""
    rows = pictures(count, seed)
    return write_table(folder, rows["image"], {"caption": rows["text"]}, seed, named_by="caption")


def train(**options):
    """A checkpoint that matches pictures and captions."""
    given = {"train": pictures(240), "validation": pictures(60, 1), **OPTIONS, **options}
    return kt.train(task="contrastive", **given)


@functools.cache
def trained():
    """One that all tests of a process share."""
    return train()
