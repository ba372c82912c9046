"""Positions of the vectors of patches and of frames, which are all real."""

from keras import KerasTensor

from keras_transformer.patches import PatchPositions
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.parts import Parts

_POSITIONS = ("learned", "sinusoidal")


def check_positions(parts: Parts, rows: str) -> None:
    """Raises InputError if the positions of a config are neither learned nor sinusoidal."""
    positions = parts.config.positions
    if positions not in _POSITIONS:
        raise InputError(
            f"Expected positions to be {' or '.join(_POSITIONS)} for {rows}, got "
            f"positions={positions!r}."
        )


def with_positions(parts: Parts, x: KerasTensor, name: str, *, class_token: bool) -> KerasTensor:
    """Returns the vectors that the blocks read.

    Args:
        parts: parts of the model.
        x: vectors (B, T, D), the first of zeros where there is a class token.
        name: name of the layer of the positions.
        class_token: whether the first vector is that of a token, which is learned.
    """
    c = parts.config
    x = PatchPositions(
        class_token=class_token, learned=c.positions == "learned", bits=parts.bits,
        stored=parts.stores_embeddings, dtype=parts.dtype, name=parts.named(name),
    )(x)  # fmt: skip
    return parts.embedded(parts.embedding_point("position_sum_point")(x))
