"""The data of a recipe's run, read and encoded, whatever its task."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import task_named
from keras_transformer.zoo.tasks.run_data import RunData
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import (
    TextTokenizer,
    learn_vocabulary,
    read_vocabulary,
)


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
    columns = columns_of(recipe)
    if task is None:
        task = task_named(recipe.task).of_columns(columns)
    task, train, validation = task.read_parts(
        recipe.train if train is None else train,
        recipe.validation if validation is None else validation,
        None if columns == task.named_columns(None) else columns,
        seed=recipe.seed,
    )
    texts = task.vocabulary_texts(train)
    if recipe.shared_vocabulary and len(texts) > 1:
        everything = [text for part in texts.values() for text in part]
        tokenizers = {"tokenizer": _learn_tokenizer(recipe, everything, config)}
    else:
        tokenizers = {
            name: _learn_tokenizer(recipe, part, config) for name, part in texts.items()
        }
    return task.run_data(train, validation, tokenizers, recipe.max_length)


def run_data_of(checkpoint: Checkpoint, recipe: Recipe) -> RunData:
    """Reads the files of a recipe for a model that has its labels and vocabularies.

    Raises:
        InputError: for a mistake in the data.
    """
    task, columns = checkpoint.task, columns_of(recipe)
    _, train, validation = task.read_parts(
        recipe.train, recipe.validation, columns, seed=recipe.seed
    )
    return task.run_data(train, validation, _tokenizers(checkpoint), checkpoint.max_length)


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
    return checkpoint.task.inputs(examples, _tokenizers(checkpoint), checkpoint.max_length)


def training_batches(data: RunData, recipe: Recipe) -> Batches | SampledBatches:
    """Returns the training batches of a recipe."""
    return data.batches(
        batch_tokens=recipe.batch_tokens, bucket=recipe.bucket, seed=recipe.seed,
        piece_dropout=recipe.piece_dropout,
    )  # fmt: skip


def columns_of(recipe: Recipe) -> dict[str, str | None]:
    """Returns the names of the columns of a recipe's data by their use."""
    return {use: getattr(recipe, use) for use in task_named(recipe.task).columns}


def _tokenizers(checkpoint: Checkpoint) -> dict[str, Tokenizer | None]:
    return {
        "tokenizer": checkpoint.tokenizer, "target_tokenizer": checkpoint.target_tokenizer
    }  # fmt: skip


def _learn_tokenizer(
    recipe: Recipe, texts: Sequence[str], config: TransformerConfig
) -> Tokenizer:
    """The recipe's tokenizer, with a vocabulary that is read or learned from texts."""
    settings = TokenizerConfig(
        kind=recipe.tokenizer, lowercase=recipe.lowercase, strip_accents=recipe.strip_accents
    )
    if recipe.tokenizer == "bytes":
        return TextTokenizer(settings)
    limit = config.vocab_size
    if recipe.vocabulary:
        vocabulary = read_vocabulary(recipe.vocabulary)
        if len(vocabulary) > limit:
            raise InputError(
                f"{recipe.vocabulary} has {len(vocabulary)} entries, more than the {limit} of "
                f"{recipe.model}; take a smaller vocabulary or a larger model."
            )
    else:
        if recipe.vocab_size > limit:
            raise InputError(
                f"Expected vocab_size to be at most the {limit} of {recipe.model}, "
                f"got vocab_size={recipe.vocab_size}."
            )
        vocabulary = learn_vocabulary(texts, recipe.vocab_size, settings)
    return TextTokenizer(settings, vocabulary)
