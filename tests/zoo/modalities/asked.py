"""Toy rows of several kinds: pictures with a question, whose answer needs both."""

import numpy as np

import keras_transformer as kt
from tests.picture_tables import write_table

QUESTIONS = ("does it rise?", "does it fall?")
SMALL = {
    "hidden_dim": 16, "intermediate_dim": 32, "num_layers": 1, "num_heads": 2, "dropout": 0.0,
    "image.convolutions": 1, "image.height": 8, "image.width": 8, "text.pooling": "mean",
}  # fmt: skip
OPTIONS = {"epochs": 5, "learning_rate": 0.01, "label_smoothing": 0.0, "batch_tokens": 512}


def asked(count, seed=0):
    """Pictures that get darker downwards or lighter, a question about each, and the answers."""
    rng = np.random.default_rng(seed)
    rises, which = rng.integers(0, 2, (2, count))
    slope = np.linspace(-90, 90, 8)[:, None, None]
    pictures = [
        np.clip(rng.normal(128, 10, (8, 8, 3)) + slope * (1 if one else -1), 0, 255).astype("uint8")
        for one in rises
    ]
    texts = [QUESTIONS[one] for one in which]
    answers = ["yes" if a != b else "no" for a, b in zip(rises, which, strict=True)]
    return {"image": pictures, "text": texts}, answers


def write_asked(folder, count, seed=0):
    """Writes a table with paths of pictures, and returns its path."""
    rows, answers = asked(count, seed)
    return write_table(folder, rows["image"], {"question": rows["text"], "answer": answers}, seed)


def answerer(fusion, out=None, **options):
    """A checkpoint that answers the questions."""
    return kt.train(
        train=asked(400), validation=asked(80, 1), fusion=fusion, settings=SMALL, out=out,
        **{**OPTIONS, **options},
    )  # fmt: skip
