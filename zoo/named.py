"""The front door to models by name: the catalogue as a table, and untrained models."""

import dataclasses
from typing import Any, NamedTuple

import keras

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import build as building
from keras_transformer.zoo.models.catalog import CATALOG, SIZES, get_config
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.pretrained.load import load_pretrained
from keras_transformer.zoo.pretrained.source import is_published
from keras_transformer.zoo.tabular import Grid, Tabular
from keras_transformer.zoo.tasks.registry import tasks_for
from keras_transformer.zoo.tasks.task import Task


class CatalogRow(NamedTuple):
    """A row of the catalogue.

    Attributes:
        name: name of the model.
        parameters: number of parameters without a task's head, tied tables counted once.
        tasks: names of the tasks that it can be trained for.
    """

    name: str
    parameters: int
    tasks: tuple[str, ...]


class Catalog(Tabular, tuple[CatalogRow, ...]):
    """The models of the catalogue: a tuple of rows that prints as a table."""

    def grids(self) -> list[Grid]:
        """A table with a row for each model."""
        rows = [(row.name, row.parameters, ", ".join(row.tasks)) for row in self]
        return [Grid(None, CatalogRow._fields, rows)]


def models() -> Catalog:
    """Returns the models of the catalogue: name, parameters and tasks of each."""
    return Catalog(
        CatalogRow(name, SIZES[name].parameters, tasks_for(config.architecture, config.modality))
        for name, config in CATALOG.items()
    )


def build(
    model: str | TransformerConfig | SeveralConfig, task: Task | None = None, *,
    dtype: str = "float32", **changes: Any,
) -> keras.Model:  # fmt: skip
    """Returns a plain `keras.Model` to fit, save and load, untrained unless it is a published one.

    Args:
        model: catalogue name or config, or names of encoders of different kinds with `+` between
            them; or a published model, which is built with its weights, see
            `load_pretrained`.
        task: task of an encoder's head, such as `Classification(labels=[...])`; without one the
            outputs are the pooled vectors.
        dtype: Keras dtype policy of the layers.
        **changes: to the config, such as `num_layers=2` or `vocab_size=8000`.

    Raises:
        InputError: if the name is unknown, or the config is impossible or does not fit the task.
        TypeError: if `model` is neither a name nor a config, or a field is unknown.
    """
    if isinstance(model, str) and is_published(model, or_checkpoint=False):
        return _published(model, task, dtype, changes)
    if isinstance(model, str):
        config = get_config(model)
    elif isinstance(model, TransformerConfig | SeveralConfig):
        config = model
    else:
        raise TypeError(f"Expected a name of the catalogue or a config, got model={model!r}.")
    config = _changed(config, changes)
    if isinstance(config, SeveralConfig) and task is not None and task.fusion is not None:
        config = config.replace(fusion=task.fusion)
    _check_task(config, task)
    return building.build(config, task, dtype=dtype)


def _published(
    name: str, task: Task | None, dtype: str, changes: dict[str, Any]
) -> keras.Model:
    """A published model with its weights, and the new head of a task."""
    pretrained = load_pretrained(name)
    pretrained = dataclasses.replace(pretrained, config=_changed(pretrained.config, changes))
    _check_task(pretrained.config, task)
    return pretrained.build(task, dtype=dtype)


def _changed(config: Any, changes: dict[str, Any]) -> Any:
    if isinstance(config, SeveralConfig):
        return config.replace(**changes)
    known = vars(config)
    for name, value in changes.items():
        if name not in known:
            raise TypeError(
                f"Expected changes to the config among {', '.join(known)}, got {name}={value!r}."
            )
    return config.replace(**changes)


def _check_task(config: TransformerConfig | SeveralConfig, task: Task | None) -> None:
    known = tasks_for(config.architecture, config.modality)
    if task is not None and config.architecture not in task.architectures:
        raise InputError(
            f"Expected a task of an {config.architecture} ({', '.join(known)}), got {task.name}."
        )
