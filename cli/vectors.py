"""Vectors of texts as they are shown, and lines of a file ranked by their cosines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.outputs import Vector, nearest, vectors_as

SHOWN_NUMBERS = 5
# Lines whose outputs are computed together.
LINES_AT_ONCE = 1024


vectors_option = click.option(
    "--vectors", type=click.Choice(("float32", "int8")), metavar="TYPE",
    help="Type of the vectors that a model of embeddings prints: int8 is 127 times a vector of "
    "length 1, rounded.  [default: float32]",
)


class RankedLine(NamedTuple):
    """A line of a file.

    Attributes:
        line: number of the line, from 1.
        text: its text.
        cosine: cosine of its vector with the query.
    """

    line: int
    text: str
    cosine: float


def ranked_lines(
    predictor: Any, queries: Sequence[np.ndarray], corpus: Path, count: int
) -> list[list[RankedLine]]:
    """Returns for each query vector the most similar lines of a file, best first.

    Blank lines are passed over.

    Args:
        predictor: model of embeddings.
        queries: vectors (D,).
        corpus: text file, see `load_plain_text`.
        count: number of lines for each query.

    Raises:
        InputError: if the file has no text.
    """
    from keras_transformer.cli import display
    from keras_transformer.zoo.data.plain_text import load_plain_text

    numbered = enumerate(load_plain_text(corpus).text.split("\n"), start=1)
    lines = [(number, line) for number, line in numbered if line.strip()]
    found = [
        predictor.outputs([line for _, line in lines[first : first + LINES_AT_ONCE]])
        for first in range(0, len(lines), LINES_AT_ONCE)
    ]
    if cut := sum(sum(one.truncated) for one in found):
        display.note(
            f"{cut} of {len(lines)} lines of {corpus} are longer than {predictor.max_length} "
            "tokens and were cut."
        )
    vectors = np.concatenate([one.scores for one in found])
    places, cosines = nearest(np.array(queries), vectors, count)
    return [
        [RankedLine(*lines[place], cosine) for place, cosine in zip(*both, strict=True)]
        for both in zip(places.tolist(), cosines.tolist(), strict=True)
    ]


def ranked_as_json(
    texts: Sequence[str], results: Sequence[Vector], ranked: Sequence[Sequence[RankedLine]]
) -> list[dict[str, Any]]:
    """Returns the ranked lines of each text as JSON-serializable objects."""
    return [
        {
            "text": text, "truncated": one.truncated,
            "nearest": [line._asdict() for line in lines],
        }
        for text, one, lines in zip(texts, results, ranked, strict=True)
    ]  # fmt: skip


def check_vectors(
    predictor: Any, vectors: str | None, nearest: Path | None, matches: int | None
) -> None:
    """Raises InputError if an option of vectors is given where there are none."""
    if nearest is not None and not predictor.embeds:
        raise InputError(
            f"Expected --nearest only for a model of embeddings, got one of {predictor.task_name}."
        )
    if matches is not None and nearest is None:
        raise InputError(f"Expected --matches only with --nearest, got --matches {matches}.")
    if vectors is not None and (nearest is not None or not predictor.embeds):
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
