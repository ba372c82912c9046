"""Vectors of texts as they are shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.outputs import Vector, vectors_as

SHOWN_NUMBERS = 5


vectors_option = click.option(
    "--vectors", type=click.Choice(("float32", "int8")), metavar="TYPE",
    help="Type of the vectors that a model of embeddings prints: int8 is 127 times a vector of "
    "length 1, rounded.  [default: float32]",
)


def check_vectors(
    predictor: Any, vectors: str | None, nearest: Path | None, matches: int | None
) -> None:
    """Raises InputError if an option of vectors is given where there are none."""
    embeds = predictor.embeds or predictor.matches_kinds
    if nearest is not None and not embeds:
        raise InputError(
            f"Expected --nearest only for a model of embeddings, got one of {predictor.task_name}."
        )
    if nearest is not None and nearest.is_dir() and not predictor.matches_kinds:
        raise InputError(f"Expected --nearest to be a file of lines, got the folder {nearest}.")
    if matches is not None and nearest is None:
        raise InputError(f"Expected --matches only with --nearest, got --matches {matches}.")
    if vectors is not None and (nearest is not None or not embeds):
        raise InputError(
            "Expected --vectors only for a model of embeddings, and not with --nearest, got "
            f"--vectors {vectors} for one of {predictor.task_name}."
        )


def typed(results: Sequence[Vector], dtype: str) -> list[Vector]:
    """Returns vectors in another type, see `vectors_as`."""
    return [one._replace(vector=vectors_as(one.vector[None], None, dtype)[0]) for one in results]


def shown_vector(vector: np.ndarray) -> str:
    """Returns the first numbers of a vector as text."""
    more = " ..." if len(vector) > SHOWN_NUMBERS else ""
    form = "d" if vector.dtype.kind == "i" else ".4f"
    return " ".join(f"{number:{form}}" for number in vector[:SHOWN_NUMBERS]) + more
