"""Learned positions of patches and frames, interpolated for another size of the input.

Dosovitskiy et al. 2021 (arXiv:2010.11929, section 3.2) do so where a model is trained on with
larger images, and Gong et al. 2021 (arXiv:2104.01778, section 2.2) with longer sounds.
"""

from typing import Any

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.layer_names import prefix_of_kind
from keras_transformer.zoo.modalities.audio import AudioSettings
from keras_transformer.zoo.modalities.image import ImageSettings
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.models.config import TransformerConfig

# How the paths of the tables of `PatchPositions` end.
_TABLE = "_positions/embeddings"
_SETTINGS: dict[str, type[ImageSettings] | type[AudioSettings]] = {
    "audio": AudioSettings, "image": ImageSettings,
}  # fmt: skip
# Settings of a spectrogram that trained weights have learned, unlike the number of samples.
_LEARNED = ("rate", "frame", "hop", "mels", "low", "high")
# Keys' cubic with the parameter of PyTorch, by which others resize the same tables.
_SHARPNESS = -0.75


def is_resized(path: str, before: TransformerConfig, after: TransformerConfig) -> bool:
    """Whether a weight is a table of positions that two configs have for inputs of other sizes."""
    ours, theirs = _settings(before, path), _settings(after, path)
    return path.endswith(_TABLE) and None not in (ours, theirs) and ours.grid != theirs.grid


def stored_shape(
    path: str, shape: tuple[int, ...], before: TransformerConfig, after: TransformerConfig
) -> tuple[int, ...]:
    """Returns the shape that a weight of this shape has for the config before."""
    if not is_resized(path, before, after):
        return shape
    settings = _settings(before, path)
    return (settings.positions, *shape[1:])


def resized_positions(
    path: str, table: np.ndarray, before: TransformerConfig, after: TransformerConfig
) -> np.ndarray:
    """Returns a table of positions (T, D) for the config after, or another weight as it is.

    The vectors of a class token stay, and those of the grid are interpolated by a cubic along both
    sides, as `torch.nn.functional.interpolate` does it with mode="bicubic".

    Raises:
        InputError: see `resizing_note`.
    """
    if not is_resized(path, before, after):
        return table
    old, new = _grids(path, before, after)
    tokens = _settings(before, path).class_tokens
    first, rest = table[:tokens], table[tokens:]
    grid = np.asarray(rest, np.float64).reshape(*old, -1)
    down, across = (_weights(*sizes) for sizes in zip(old, new, strict=True))
    made = np.einsum("ay,bx,yxd->abd", down, across, grid).reshape(-1, table.shape[-1])
    return np.concatenate([first, made.astype(table.dtype)])


def resizing_note(before: TransformerConfig, after: TransformerConfig) -> str | None:
    """Returns what is done with the positions where two configs have inputs of other sizes.

    Raises:
        InputError: if there is only one place in a direction in which there would be several, or
            the spectrogram of sounds is another one.
    """
    ours, theirs = before.modality_settings, after.modality_settings
    for name in _LEARNED:
        if name in ours and ours[name] != theirs.get(name):
            raise InputError(
                f"Expected the {name} of the sounds that the weights have learned, {ours[name]}, "
                f"got {name}={theirs.get(name)}; leave it as it is, or train a new model."
            )
    if not is_resized(_TABLE, before, after):
        return None
    (tall, wide), (taller, wider) = _grids(_TABLE, before, after)
    return (
        f"The positions of {tall} x {wide} places are interpolated to {taller} x {wider}, as the "
        "settings of the run say."
    )


def _grids(
    path: str, before: TransformerConfig, after: TransformerConfig
) -> list[tuple[int, int]]:
    """The numbers of places down and across of both, between which positions are interpolated."""
    old, new = _settings(before, path).grid, _settings(after, path).grid
    if any(one == 1 and other > 1 for one, other in zip(old, new, strict=True)):
        raise InputError(
            "Expected a size whose positions can be interpolated from those of "
            f"{old[0]} x {old[1]} places, got {new[0]} x {new[1]}: one place says nothing of "
            "several; leave the direction of one place as it is, or train a new model."
        )
    return [old, new]


def _settings(config: Any, path: str) -> ImageSettings | AudioSettings | None:
    """The settings of inputs that have learned positions on a grid; of several kinds the path's."""
    for kind, member in getattr(config, "members", {}).items() if PLUS in config.modality else ():
        if path.startswith(prefix_of_kind(kind)):
            config = member
    kind = _SETTINGS.get(config.modality)
    return None if kind is None or config.positions != "learned" else kind.of(
        config.modality_settings
    )  # fmt: skip


def _weights(size: int, wanted: int) -> np.ndarray:
    """The share (wanted, size) that each place has in each of the new ones."""
    places = (np.arange(wanted) + 0.5) * size / wanted - 0.5
    firsts = np.floor(places).astype(int)
    made = np.zeros((wanted, size))
    for offset in range(-1, 3):
        nearest = np.clip(firsts + offset, 0, size - 1)
        np.add.at(made, (np.arange(wanted), nearest), _cubic(places - firsts - offset))
    return made


def _cubic(distance: np.ndarray) -> np.ndarray:
    x, a = np.abs(distance), _SHARPNESS
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    return np.where(x <= 1, near, a * (x**3 - 5 * x**2 + 8 * x - 4))
