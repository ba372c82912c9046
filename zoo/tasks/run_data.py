"""The data of a run, read and ready for its tokenizers, whatever its task."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.pairs import load_languages
from keras_transformer.zoo.data.plain_text import blocks, load_plain_text, token_stream
from keras_transformer.zoo.data.tables import load_examples, read_table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.predict import model_inputs
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.labelled import LabelledData
from keras_transformer.zoo.tasks.language_modeling import LanguageData
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tasks.translation import TranslationData, encode_pairs
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import (
    TextTokenizer,
    learn_vocabulary,
    read_vocabulary,
)

RunData = LabelledData | LanguageData | TranslationData


def learn_run_data(recipe: Recipe, config: TransformerConfig) -> RunData:
    """Reads the files of a recipe, and learns labels and vocabularies from the training file.

    Args:
        recipe: the run.
        config: of the model; its vocabulary is the largest that may be learned.

    Raises:
        InputError: for a mistake in the recipe or the data.
    """
    if recipe.task == "translation":
        parts = _read_pairs(recipe)
        targets = recipe.data.targets
        languages = targets if len(targets) > 1 else ()
        texts = parts["train"].sources, parts["train"].targets
        if recipe.tokenizer.shared_vocabulary:
            source = target = _learn_tokenizer(recipe, [*texts[0], *texts[1]], config)
        else:
            source, target = (_learn_tokenizer(recipe, side, config) for side in texts)
        return TranslationData(
            task=Task(name=recipe.task, labels=languages), **parts, source=source, target=target,
            max_length=recipe.data.max_length,
        )  # fmt: skip
    if recipe.task == "language-modeling":
        parts = _read_plain_texts(recipe)
        return LanguageData(
            task=Task(name=recipe.task), **parts, max_length=recipe.data.max_length,
            tokenizer=_learn_tokenizer(recipe, [parts["train"].text], config),
        )  # fmt: skip
    parts = _read_labelled(recipe, None)
    train = parts["train"]
    return LabelledData(
        task=Task(
            name=recipe.task, labels=tuple(train.labels),
            pair=recipe.data.columns["text_pair"] is not None,
        ),
        **parts, max_length=recipe.data.max_length,
        tokenizer=_learn_tokenizer(recipe, [*train.texts, *(train.pairs or [])], config),
    )  # fmt: skip


def run_data_of(checkpoint: Checkpoint, recipe: Recipe) -> RunData:
    """Reads the files of a recipe for a model that has its labels and vocabularies.

    Raises:
        InputError: for a mistake in the data.
    """
    task, length = checkpoint.task, checkpoint.max_length
    if task.name == "translation":
        return TranslationData(
            task=task, **_read_pairs(recipe), source=checkpoint.tokenizer,
            target=checkpoint.target_tokenizer or checkpoint.tokenizer, max_length=length,
        )  # fmt: skip
    if task.name == "language-modeling":
        return LanguageData(
            task=task, **_read_plain_texts(recipe), tokenizer=checkpoint.tokenizer,
            max_length=length,
        )
    return LabelledData(
        task=task, **_read_labelled(recipe, list(task.labels) or None),
        tokenizer=checkpoint.tokenizer, max_length=length,
    )  # fmt: skip


def read_inputs(
    checkpoint: Checkpoint, path: str | Path, *, language: str | None = None, **columns: str | None
) -> dict[str, list[np.ndarray]]:
    """Reads the rows of one file as inputs of a model, by name.

    Args:
        checkpoint: the model.
        path: of the file: a table, or the plain text of a language model.
        language: the target that a translator of several is to write; all of them by default.
        **columns: names of the table's columns by their use, as `Checkpoint.columns` has them.
            Labels may be missing; where they are there, they are the model's.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file cannot be read, lacks a column, or has a label that the model lacks.
    """
    task, length = checkpoint.task, checkpoint.max_length
    if task.name == "translation":
        targets = (language,) if language else columns["target"].split(",")
        pairs = load_languages(path, source=columns["source"], targets=targets)
        if task.labels and language:
            pairs = dataclasses.replace(pairs, languages=[language] * len(pairs.sources))
        target = checkpoint.target_tokenizer or checkpoint.tokenizer
        return encode_pairs(pairs, checkpoint.tokenizer, target, length, task.labels)[0]
    if task.name == "language-modeling":
        cut = blocks(token_stream(load_plain_text(path), checkpoint.tokenizer), length)
        return {"ids": [block[:-1] for block in cut]}
    if columns["label"] not in read_table(path).columns:
        columns["label"] = None
    examples = load_examples(path, **columns, task=task.name, labels=list(task.labels) or None)
    encoded = checkpoint.encode(examples.texts, examples.pairs)
    return model_inputs(task, encoded.columns)


def _read_pairs(recipe: Recipe) -> dict[str, Any]:
    data = recipe.data
    columns = {"source": data.columns["source"], "targets": data.targets}
    return {
        "train": load_languages(data.train, **columns),
        "validation": load_languages(data.validation, **columns),
    }


def _read_plain_texts(recipe: Recipe) -> dict[str, Any]:
    data = recipe.data
    return {"train": load_plain_text(data.train), "validation": load_plain_text(data.validation)}


def _read_labelled(recipe: Recipe, labels: list[str] | None) -> dict[str, Any]:
    columns = recipe.data.columns
    train = load_examples(recipe.data.train, **columns, task=recipe.task, labels=labels)
    validation = load_examples(
        recipe.data.validation, **columns, task=recipe.task, labels=train.labels or None
    )
    return {"train": train, "validation": validation}


def _learn_tokenizer(recipe: Recipe, texts: list[str], config: TransformerConfig) -> Tokenizer:
    """The recipe's tokenizer, with a vocabulary that is read or learned from texts."""
    given = recipe.tokenizer
    settings = TokenizerConfig(
        kind=given.kind, lowercase=given.lowercase, strip_accents=given.strip_accents
    )
    if given.kind == "bytes":
        return TextTokenizer(settings)
    limit = config.vocab_size
    if given.vocabulary:
        vocabulary = read_vocabulary(given.vocabulary)
        if len(vocabulary) > limit:
            raise InputError(
                f"{given.vocabulary} has {len(vocabulary)} entries, more than the {limit} of "
                f"{recipe.model.name}; take a smaller vocabulary or a larger model."
            )
    else:
        if given.vocab_size > limit:
            raise InputError(
                f"Expected vocab_size to be at most the {limit} of {recipe.model.name}, "
                f"got vocab_size={given.vocab_size}."
            )
        vocabulary = learn_vocabulary(texts, given.vocab_size, settings)
    return TextTokenizer(settings, vocabulary)
