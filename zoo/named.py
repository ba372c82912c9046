"""The front door to models by name: the catalogue as a table, and untrained models."""

from typing import Any, NamedTuple

import keras

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import build as building
from keras_transformer.zoo.models.catalog import CATALOG, SIZES, get_config
from keras_transformer.zoo.models.config import TransformerConfig
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
        CatalogRow(name, SIZES[name].parameters, tasks_for(config.architecture))
        for name, config in CATALOG.items()
    )


def build(
    model: str | TransformerConfig, task: Task | None = None, *, dtype: str = "float32",
    **changes: Any,
) -> keras.Model:  # fmt: skip
    """Returns an untrained model: a plain `keras.Model` to fit, save and load.

    Args:
        model: catalogue name or config.
        task: task of an encoder's head, such as `Classification(labels=[...])`; without one the
            outputs are the pooled vectors.
        dtype: Keras dtype policy of the layers.
        **changes: to the config, such as `num_layers=2` or `vocab_size=8000`.

    Raises:
        InputError: if the name is unknown, or the config is impossible or does not fit the task.
        TypeError: if `model` is neither a name nor a config, or a field is unknown.
    """
    if isinstance(model, str):
        config = get_config(model)
    elif isinstance(model, TransformerConfig):
        config = model
    else:
        raise TypeError(f"Expected a name of the catalogue or a config, got model={model!r}.")
    known = vars(config)
    for name, value in changes.items():
        if name not in known:
            raise TypeError(
                f"Expected changes to the config among {', '.join(known)}, got {name}={value!r}."
            )
    config = config.replace(**changes)
    if task is not None and config.architecture not in task.architectures:
        raise InputError(
            f"Expected a task of an {config.architecture} "
            f"({', '.join(tasks_for(config.architecture))}), got {task.name}."
        )
    return building.build(config, task, dtype=dtype)
