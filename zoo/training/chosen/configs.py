"""The config of a run's model."""

from collections.abc import Collection
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.models.fused_config import (
    FUSED,
    Config,
    config_from_json,
    members_of,
)
from keras_transformer.zoo.models.memory import check_build
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.recipe import Model, Recipe
from keras_transformer.zoo.tasks.registry import task_named, tasks_for

# Model name of a recipe whose settings are a whole config, without a catalogue name.
OWN_CONFIG = "custom"


def config_of(recipe: Recipe, start: Any = None) -> Config:
    """Returns a model's config with a recipe's settings, before a vocabulary is learned.

    Args:
        recipe: recipe of the run.
        start: `Start` or `Pretrained` that the run begins with, in place of a model of the
            catalogue.

    Raises:
        InputError: if the model does not fit the recipe, or a setting is impossible.
    """
    config = _named_config(recipe.model, start)
    # Before the vocabulary is learned, which can make it only larger.
    for one in members_of(config):
        check_build(one.replace(vocab_size=min(one.vocab_size, 1), source_vocab_size=0))
    config = _fused_for(recipe, config)
    known = tasks_for(config.architecture, config.modality)
    if recipe.task not in known:
        raise InputError(
            f"Expected a task that the {config.architecture} {recipe.model.name} can be trained "
            f"for ({', '.join(known)}), got task={recipe.task!r}."
        )
    if recipe.data.max_length > config.max_length and not config.positions_of_rows:
        raise InputError(
            f"Expected max_length to be at most the model's {config.max_length}, "
            f"got max_length={recipe.data.max_length}."
        )
    tells_apart = config.num_segments >= 2 or start is not None
    if recipe.data.columns.get("text_pair") is not None and not tells_apart:
        raise InputError(
            f"Expected a model with two segments for pairs, got {recipe.model.name} "
            f"with num_segments={config.num_segments}."
        )
    return config


def _fused_for(recipe: Recipe, config: Config) -> Config:
    """The config of several kinds with the fusion that the task has, if it has one."""
    fusion = task_named(recipe.task).fusion
    if fusion is None:
        return config
    if not isinstance(config, SeveralConfig):
        raise InputError(
            f"Expected a model of each of two kinds of rows for {recipe.task}, such as "
            f"cct_2+bert_tiny, got {recipe.model.name}."
        )
    if recipe.model.settings.get("fusion", fusion) != fusion:
        raise InputError(
            f"Expected no fusion for {recipe.task}, which has an encoder of each kind, got "
            f"fusion={recipe.model.settings['fusion']!r}."
        )
    return config.replace(fusion=fusion)


def with_positions(
    recipe: Recipe, config: Config, chosen: Collection[str] = ()
) -> Recipe:
    """Returns the recipe with the length of inputs that have one size, where they do.

    Args:
        recipe, config: recipe and config of the model.
        chosen: names of the options that the user chose.

    Raises:
        InputError: if the user chose a length.
    """
    positions = config.positions_of_rows
    if positions is None:
        return recipe
    if "max_length" in chosen:
        raise InputError(
            f"Expected no max_length for a model that reads {config.modality}, whose size is that "
            f"of its settings ({', '.join(config.modality_settings)}), got "
            f"max_length={recipe.data.max_length}."
        )
    return recipe.replace(max_length=positions)


def _named_config(model: Model, start: Any) -> Config:
    """The config of a model with changed settings, or one given entirely by settings."""
    if model.name == FUSED:
        raise InputError(
            "Expected the recipe of one model to train, got that of several that answer as one; "
            "train each, and fuse them with keras-transformer fuse."
        )
    if model.name == OWN_CONFIG:
        return config_from_json(model.settings)
    config = get_config(model.name) if start is None else start.config
    for name in ("vocab_size", "source_vocab_size"):
        if name in model.settings:
            raise InputError(f"Expected no setting {name}: it follows from the tokenizer.")
    return config.replace(**model.settings)
