"""Texts with [MASK], and the pieces that a model finds likely in its place."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.masking.masking import mask_id
from keras_transformer.zoo.tagging.decoding import log_probabilities
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

# Pieces of a prediction.
MOST_PIECES = 5
# Of these kinds a space is a piece of its own; with others it belongs to the piece that follows.
_OWN_SPACES = ("bytes", "characters")


class Mask(NamedTuple):
    """A [MASK] of a text.

    Attributes:
        start, end: range of its characters in the text.
        pieces: probability of the most likely pieces, these first. A word piece that continues a
            word begins with "##", a piece of other tokenizers that begins one with a space.
    """

    start: int
    end: int
    pieces: dict[str, float]


class Filled(NamedTuple):
    """The prediction for one text.

    Attributes:
        masks: each [MASK] that the model reads, in the order of the text.
        truncated: whether the text was truncated to the model's length.
    """

    masks: list[Mask]
    truncated: bool


class MaskedRows(NamedTuple):
    """Encoded texts with [MASK].

    Attributes:
        ids: (T,) of each text.
        positions: positions of each [MASK] among them.
        places: ranges of each [MASK] in characters.
        truncated: for each text, whether it was truncated.
    """

    ids: list[np.ndarray]
    positions: list[np.ndarray]
    places: list[list[tuple[int, int]]]
    truncated: list[bool]


class FillOutputs(NamedTuple):
    """A model's outputs for texts with [MASK].

    Attributes:
        scores: logits (masks, V) of each text.
        places: ranges of each [MASK] in characters.
        names: names of the pieces by id.
        truncated: for each text, whether it was truncated to the model's length.
    """

    scores: list[np.ndarray]
    places: list[list[tuple[int, int]]]
    names: Sequence[str]
    truncated: list[bool]


def masked_rows(tokenizer: Tokenizer, texts: Sequence[str], max_length: int) -> MaskedRows:
    """Encodes texts, each with at least one [MASK].

    Raises:
        InputError: if a text has none, or none among the tokens that the model reads.
    """
    hidden, name = mask_id(tokenizer), tokenizer.config.special.mask
    before, _, after = tokenizer.single_frame
    room = max_length - len(before) - len(after)
    found = MaskedRows([], [], [], [])
    for number, text in enumerate(texts, start=1):
        places = [match.span() for match in re.finditer(re.escape(name), text)]
        if not places:
            raise InputError(f"Expected {name} in each text, got none in text {number}: {text!r}.")
        parts = text.split(name)
        if tokenizer.config.kind not in _OWN_SPACES:
            parts = [*(part.rstrip() for part in parts[:-1]), parts[-1]]
        pieces = tokenizer.pieces(parts)
        ids = [*pieces[0], *(i for part in pieces[1:] for i in (hidden, *part))]
        row = np.array([*before, *ids[:room], *after], np.int32)
        positions = len(before) + np.flatnonzero(np.array(ids[:room]) == hidden)
        if not len(positions):
            raise InputError(
                f"Expected {name} among the first {max_length} tokens of each text, got it later "
                f"in text {number}: {text!r}."
            )
        found.ids.append(row)
        found.positions.append(positions)
        found.places.append(places[: len(positions)])
        found.truncated.append(len(ids) > room)
    return found


def piece_names(tokenizer: Tokenizer) -> list[str]:
    """Returns the text of each piece by id, each another one."""
    kind, pieces = tokenizer.config.kind, tokenizer.vocabulary.pieces
    if kind == "bytes":
        ascii_or_number = (chr(byte) if byte < 128 else f"<0x{byte:02X}>" for byte in range(256))
        return [*SPECIAL_TOKENS, *ascii_or_number]
    if kind != "bpe":
        return [piece.replace("▁", " ") for piece in pieces]
    texts = [tokenizer.model.text([number]) for number in range(len(pieces))]
    # Half of a character has no text.
    return [
        piece if number in tokenizer.special_ids or "\ufffd" in text else text
        for number, (piece, text) in enumerate(zip(pieces, texts, strict=True))
    ]


def fill_predictions(labels: Sequence[str], outputs: FillOutputs) -> list[Filled]:
    """Converts logits of each [MASK] to its most probable pieces."""
    found = []
    for scores, places, cut in zip(outputs.scores, outputs.places, outputs.truncated, strict=True):
        masks = []
        for logits, (start, end) in zip(log_probabilities(scores), places, strict=True):
            best = np.argsort(-logits, kind="stable")[:MOST_PIECES]
            pieces = {outputs.names[i]: float(np.exp(logits[i])) for i in best}
            masks.append(Mask(start, end, pieces))
        found.append(Filled(masks, cut))
    return found
