"""Configs of published models: the family of a config.json, and the config of ours that it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_transformer.zoo.errors import InputError, of_others
from keras_transformer.zoo.models.catalog import PUBLISHED
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.families.published import Published, PublishedConfig


def family_of(values: Mapping[str, Any], path: Path) -> tuple[str, Published]:
    """Returns the family of a config.json by its `model_type`.

    Raises:
        InputError: if it is unknown; the message lists the known ones.
    """
    kind = values.get("model_type")
    for family, published in PUBLISHED.items():
        if kind in published.model_types:
            return family, published
    known = ", ".join(sorted(kind for one in PUBLISHED.values() for kind in one.model_types))
    raise InputError(f"Expected model_type of {path} to be one of {known}, got {kind!r}.")


def read_config(
    values: Mapping[str, Any], published: Published, source: str, *, pooling: str | None = None
) -> TransformerConfig:
    """Returns our config of a config.json.

    Raises:
        InputError: if a key is missing, impossible, or would change the function.
    """
    reader = PublishedConfig(values, source)
    with of_others(f"a config as `transformers` writes it in {source}"):
        settings = published.settings(reader)
    reader.check_read()
    if pooling is not None:
        settings |= {"pooling": pooling, "pooler": "none"}
    try:
        return TransformerConfig(**settings)
    except InputError as error:
        raise InputError(f"{source} is of no model of ours: {error}") from None
