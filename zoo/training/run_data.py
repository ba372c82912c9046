"""Reading and encoding of the data of a recipe, for any task."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.augmentation.augmented import Augmented
from keras_transformer.zoo.augmentation.pictures import AugmentedBatches
from keras_transformer.zoo.augmentation.sounds import AugmentedSounds
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.rows import Rows, sampled
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.unknown import unknown_shares, unknown_warning
from keras_transformer.zoo.modalities.audio import AudioSettings
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.outputs import CLASSES, LABEL_SETS
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.recipe.training_data import rows_digest, training_file
from keras_transformer.zoo.tasks.registry import task_named
from keras_transformer.zoo.tasks.run_data import RunData
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.training.learn_modality import learn_modality

# Rows of which the share of unknown tokens is measured, and to which a baseline is fitted, at most.
_ROWS_READ = 200_000


def learn_run_data(
    recipe: Recipe, config: TransformerConfig, *, train: Source | Rows | None = None,
    validation: Source | Rows | None = None, modality: Modality | None = None,
) -> RunData:  # fmt: skip
    """Reads the data of a recipe, and learns labels and vocabularies from the training part.

    Args:
        recipe: recipe of the run.
        config: config of the model, whose vocabulary size limits the learned one.
        train, validation: data in memory, in place of the recipe's files.
        modality: modality that is known already, in place of a learned one.

    Raises:
        InputError: if the recipe or the data has a mistake.
    """
    task, train, validation = read_run(recipe, config, train=train, validation=validation)
    for name in ("scope_score", "scope_weight"):
        if name in recipe.task_options and not recipe.data.out_of_scope:
            raise InputError(
                f"Expected {name} only with out_of_scope, which names the rows to reject, got "
                f"{name}={recipe.task_options[name]!r}."
            )
    if modality is None:
        modality = learn_modality(recipe, config, task, train)
    return _with_outside(task.run_data(train, validation, modality), recipe)


def read_run(
    recipe: Recipe, config: TransformerConfig, *, train: Source | Rows | None = None,
    validation: Source | Rows | None = None,
) -> tuple[Task, Any, Any]:  # fmt: skip
    """Reads the data of a recipe, and learns its labels.

    Args:
        recipe, config, train, validation: see `learn_run_data`.

    Returns:
        The task, the training examples and the validation examples.
    """
    data = recipe.data
    task = task_named(recipe.task).of_columns(data.columns).reading(config.modality)
    if data.labels:
        task = task.with_labels(data.labels)
    task = task.with_options(recipe.task_options)
    return _read_parts(task, recipe, train, validation)


def run_data_of(
    checkpoint: Checkpoint, recipe: Recipe, *, train: Source | Rows | None = None,
    validation: Source | Rows | None = None,
) -> RunData:  # fmt: skip
    """Reads the data of a recipe for a model that already has labels and vocabularies.

    Args:
        checkpoint: checkpoint of the model.
        recipe: recipe of the run.
        train, validation: see `learn_run_data`.

    Raises:
        InputError: if the data has a mistake.
    """
    task = checkpoint.task
    _, train, validation = _read_parts(task, recipe, train, validation)
    return _with_outside(task.run_data(train, validation, checkpoint.modality), recipe)


def _with_outside(data: RunData, recipe: Recipe) -> RunData:
    """The data with the rows of a recipe that are out of the model's scope, if it names any."""
    path = recipe.data.out_of_scope
    if not path:
        return data
    if not data.task.has_scope:
        raise InputError(
            f"Expected no out_of_scope for {data.task.name}, got out_of_scope={path!r}."
        )
    # Whatever their label is called, it is none of the model's.
    columns = {**recipe.data.columns, "label": None}
    outside = data.task.read(path, columns, labelled=False)
    return dataclasses.replace(data, out_of_scope=outside)


def in_memory(recipe: Recipe, data: RunData) -> tuple[Recipe, dict[str, Rows]]:
    """Returns a run's recipe with the hash of its rows in memory, and those rows by their use."""
    rows = {}
    if not recipe.data.train:
        recipe = recipe.replace(digest=rows_digest(data.train.rows()))
        rows["train"] = data.train
    # A validation share of a file is split off again whenever the file is read.
    if not recipe.data.validation and not (recipe.data.train and recipe.data.validation_share):
        rows["validation"] = data.validation
    return recipe, rows


def training_rows(checkpoint: Checkpoint) -> Rows | Path | str:
    """Returns the training data of a checkpoint: rows in memory, or the file.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the rows were in the memory of another process, or the file has changed.
    """
    return checkpoint.rows.get("train") or training_file(checkpoint.recipe.data)


def _read_parts(
    task: Task, recipe: Recipe, train: Source | Rows | None, validation: Source | Rows | None
) -> tuple[Task, Any, Any]:
    data = recipe.data
    train = data.train if train is None else train
    if validation is None:
        validation = data.validation_share or data.validation
    return task.read_parts(train, validation, data.columns, seed=data.split_seed)


def read_inputs(
    checkpoint: Checkpoint, source: Source | Rows, *, language: str | None = None,
    **columns: str | None,
) -> dict[str, list[np.ndarray]]:
    """Reads rows as inputs of a model, by name.

    Args:
        checkpoint: checkpoint of the model.
        source: file, or data in memory, see `Task.read`.
        language: target language of a multilingual translator; all of them by default.
        **columns: column names by their use, see `Checkpoint.columns`. Labels may be missing;
            if present, they must be those of the model.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file cannot be read, lacks a column, or has a label that the model lacks.
    """
    if language:
        columns["target"] = language
    examples = checkpoint.task.examples_of(source, columns, labelled=False)
    return checkpoint.task.inputs(examples, checkpoint.modality)


def training_batches(
    data: RunData, recipe: Recipe
) -> Batches | SampledBatches | Augmented:
    """Returns the training batches of a recipe."""
    seed, augment = recipe.training.seed, recipe.data.augment
    batches = data.batches(
        batch_tokens=recipe.data.batch_tokens, bucket=recipe.data.bucket, seed=seed,
        piece_dropout=recipe.data.piece_dropout,
    )  # fmt: skip
    batches.in_multiples_of(recipe.data.rows_multiple, recipe.data.whole_batches)
    if not augment:
        return batches
    kinds = data.task.modality.split(PLUS)
    if "audio" in kinds and "image" not in kinds:
        sounds = data.modality.of_kind("audio")
        return AugmentedSounds(
            batches, augment, seed=seed, rate=AudioSettings.of(sounds.settings).rate
        )
    if "image" not in kinds:
        raise InputError(
            f"Expected augment only for images and sounds, got augment={augment!r} for "
            f"{data.task.modality}."
        )
    # A mixed picture would have the text of one.
    mixes = data.task.output in (CLASSES, LABEL_SETS) and kinds == ["image"]
    classes = len(data.task.labels) if mixes else 0
    return AugmentedBatches(batches, augment, seed=seed, classes=classes)


def deciding(data: RunData, report: Report) -> Metric:
    """Returns the metric that decides between epochs, and reports what is not defined."""
    task, validation = data.task, data.validation
    for note in task.notes(task.selection, validation):
        report.note(note)
    return task.defined(task.selection, validation)


def report_unknown(data: RunData, report: Report) -> dict[str, float]:
    """Reports many unknown tokens in either part, and returns the validation part's shares."""
    shares = unknown_shares(data.task, sampled(data.train, _ROWS_READ), data.modality)
    validation = validation_unknown(data)
    for part, found in ((data.train, shares), (data.validation, validation)):
        if warning := unknown_warning(found, str(part.path)):
            report.note(warning)
    return validation


def validation_unknown(data: RunData) -> dict[str, float]:
    """Returns the shares of unknown tokens in the validation data, see `unknown_shares`."""
    return unknown_shares(data.task, sampled(data.validation, _ROWS_READ), data.modality)


def baseline_of(data: RunData, report: Report) -> dict[str, float]:
    """Returns a simple method's validation metrics, see `Task.baseline`."""
    train = sampled(data.train, _ROWS_READ)
    found = data.task.baseline(train, data.validation)
    if found and train is not data.train:
        report.note(f"The baseline is fitted to {_ROWS_READ} of the {len(data.train)} rows.")
    return found
