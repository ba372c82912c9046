"""Pieces of a text, with the probability that another piece stood there."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_transformer.zoo.logits import sigmoid


class ReplacedPieces(NamedTuple):
    """The prediction for one text.

    Attributes:
        pieces: each piece that the model reads, and the probability that it replaces another one.
        truncated: whether the text was truncated to the model's length.
    """

    pieces: list[tuple[str, float]]
    truncated: bool


class PieceOutputs(NamedTuple):
    """A model's outputs for the pieces of texts.

    Attributes:
        scores: logits (pieces,) of each text.
        pieces: names of the pieces of each text.
        truncated: for each text, whether it was truncated to the model's length.
    """

    scores: list[np.ndarray]
    pieces: list[list[str]]
    truncated: list[bool]


def replaced_predictions(labels: Sequence[str], outputs: PieceOutputs) -> list[ReplacedPieces]:
    """Converts the logit of each piece to the probability that it replaces another one."""
    found = []
    for scores, pieces, cut in zip(*outputs, strict=True):
        probabilities = sigmoid(scores).tolist()
        found.append(ReplacedPieces(list(zip(pieces, probabilities, strict=True)), cut))
    return found
