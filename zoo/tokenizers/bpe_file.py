"""The vocabulary file of BPE: pieces, and their merges or scores."""

import json
import math
from collections.abc import Sequence
from typing import Any

from keras_transformer.zoo.errors import InputError

Merges = Sequence[tuple[int, int]]


def bpe_to_bytes(pieces: Sequence[str], scores: Sequence[float], merges: Merges) -> bytes:
    """Returns the content of the file: an object of lists in JSON."""
    value: dict[str, Any] = {"pieces": pieces}
    if merges:
        value["merges"] = merges
    if scores:
        # JSON has no infinity.
        value["scores"] = [None if math.isinf(score) else float(score) for score in scores]
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def bpe_from_text(text: str, source: str) -> tuple[tuple, tuple, tuple]:
    """Reads the result of `bpe_to_bytes`.

    Args:
        text: content of the file.
        source: name of the file in errors.

    Returns:
        Pieces, scores and merges.

    Raises:
        InputError: if the content is not such an object; the pieces themselves are not checked.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"Expected {source} to hold JSON, got an error: {error}.") from None
    known = ("pieces", "scores", "merges")
    if not isinstance(value, dict) or any(
        name not in known or not isinstance(rows, list) for name, rows in value.items()
    ):
        raise InputError(f"Expected {source} to hold an object of the lists {', '.join(known)}.")
    pieces, scores, merges = (value.get(name, []) for name in known)
    if not all(isinstance(piece, str) for piece in pieces):
        raise InputError(f"Expected {source} to hold pieces of text.")
    if scores and merges:
        raise InputError(f"Expected {source} to hold either scores or merges, got both.")
    for row in merges:
        if not (isinstance(row, list) and len(row) == 2 and all(_is_id(i, pieces) for i in row)):
            raise InputError(
                f"Expected merges of two ids from 0 to {len(pieces) - 1} in {source}, got {row!r}."
            )
    for score in scores:
        if score is not None and not (type(score) is float and math.isfinite(score)):
            raise InputError(f"Expected numbers as scores in {source}, got {score!r}.")
    return (
        tuple(pieces),
        tuple(-math.inf if score is None else score for score in scores),
        tuple((left, right) for left, right in merges),
    )


def _is_id(value: Any, pieces: Sequence[str]) -> bool:
    return type(value) is int and 0 <= value < len(pieces)
