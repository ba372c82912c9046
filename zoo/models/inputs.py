"""Inputs of a modality that an encoder reads, embedded as vectors with a mask for the stack."""

import importlib
from collections.abc import Callable, Mapping

import keras
from keras import KerasTensor

from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.models.parts import Parts

# Maps a model's parts and its inputs by name, (B, ...) each, to the stack's input (B, T, D), with
# `Parts.embedded` as last step, and the mask (B, T), True where a position is not padding; None
# where no position is.
Embedding = Callable[[Parts, Mapping[str, KerasTensor]], tuple[KerasTensor, KerasTensor | None]]

# Modality -> its embedding, or the import path of it, which is imported on first use.
EMBEDDINGS: dict[str, Embedding | str] = {
    "audio": "keras_transformer.zoo.models.embedded.audio.embed_audio",
    "image": "keras_transformer.zoo.models.embedded.image.embed_image",
    "speech": "keras_transformer.zoo.models.embedded.speech.embed_speech",
    "text": "keras_transformer.zoo.models.embedded.text.embed_text",
}


def read_inputs(
    parts: Parts, *, pair: bool, known: Mapping[str, KerasTensor] | None = None
) -> tuple[dict[str, KerasTensor], KerasTensor, KerasTensor | None]:
    """Creates the inputs of a model's modality and embeds them.

    Args:
        parts: parts of the model.
        pair: whether an example is two rows.
        known: inputs of another member of the model, which are not created again.

    Returns:
        The inputs by name, the vectors (B, T, D) and the mask (B, T), or None.

    Raises:
        InputError: if the modality is unknown, or its settings in the config do not fit.
    """
    config = parts.config
    specs = modality_named(config.modality).specs(config.modality_settings, pair=pair)
    known = known or {}
    inputs = {
        spec.name: keras.Input(spec.shape, dtype=spec.dtype, name=spec.name)
        if spec.name not in known else known[spec.name]
        for spec in specs
    }
    embed = EMBEDDINGS[config.modality]
    embed = imported(embed) if isinstance(embed, str) else embed
    return inputs, *embed(parts, inputs)


def imported(path: str) -> Callable:
    """Returns the function of an import path."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
