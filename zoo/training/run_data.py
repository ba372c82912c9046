"""The data of a recipe's run, read and encoded, whatever its task."""

import numpy as np

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import task_named
from keras_transformer.zoo.tasks.run_data import RunData
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.training.learn_modality import learn_modality


def learn_run_data(
    recipe: Recipe, config: TransformerConfig, *, task: Task | None = None,
    train: Source | None = None, validation: Source | float | None = None,
) -> RunData:  # fmt: skip
    """Reads the data of a recipe, and learns labels and vocabularies from the training part.

    Args:
        recipe: the run.
        config: of the model; its vocabulary is the largest that may be learned.
        task: in place of the recipe's, such as one with labels.
        train, validation: data in place of the recipe's files, see `Task.read_parts`.

    Raises:
        InputError: for a mistake in the recipe or the data.
    """
    columns = dict(recipe.data.columns)
    if task is None:
        task = task_named(recipe.task).of_columns(columns)
    task, train, validation = task.reading(config.modality).read_parts(
        recipe.data.train if train is None else train,
        recipe.data.validation if validation is None else validation,
        columns, seed=recipe.training.seed,
    )
    modality = learn_modality(recipe, config, task, train)
    return task.run_data(train, validation, modality)


def run_data_of(checkpoint: Checkpoint, recipe: Recipe) -> RunData:
    """Reads the files of a recipe for a model that has its labels and vocabularies.

    Raises:
        InputError: for a mistake in the data.
    """
    task, data = checkpoint.task, recipe.data
    _, train, validation = task.read_parts(
        data.train, data.validation, data.columns, seed=recipe.training.seed
    )
    return task.run_data(train, validation, checkpoint.modality)


def read_inputs(
    checkpoint: Checkpoint, source: Source, *, language: str | None = None, **columns: str | None
) -> dict[str, list[np.ndarray]]:
    """Reads rows as inputs of a model, by name.

    Args:
        checkpoint: the model.
        source: a file, or data in memory, see `Task.read`.
        language: the target that a translator of several is to write; all of them by default.
        **columns: names of the table's columns by their use, as `Checkpoint.columns` has them.
            Labels may be missing; where they are there, they are the model's.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file cannot be read, lacks a column, or has a label that the model lacks.
    """
    if language:
        columns["target"] = language
    examples = checkpoint.task.read(source, columns, labelled=False)
    return checkpoint.task.inputs(examples, checkpoint.modality)


def training_batches(data: RunData, recipe: Recipe) -> Batches | SampledBatches:
    """Returns the training batches of a recipe."""
    return data.batches(
        batch_tokens=recipe.data.batch_tokens, bucket=recipe.data.bucket,
        seed=recipe.training.seed, piece_dropout=recipe.data.piece_dropout,
    )  # fmt: skip
