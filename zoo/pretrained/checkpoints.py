"""Published models as checkpoints, used as they are, and the weights that a run begins with."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import keras

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.checkpoint_config import ADAPTER
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.image import Image
from keras_transformer.zoo.modalities.speech import Speech
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.outputs import ANSWERS, CLASSES, TAGS
from keras_transformer.zoo.pretrained.load import Pretrained, load_pretrained
from keras_transformer.zoo.pretrained.probes import PROBE_TEXTS, published_probes
from keras_transformer.zoo.pretrained.source import HUB, TOKENIZER_FILES, is_published
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import PublishedTokenizer
from keras_transformer.zoo.prune_vocabulary import (
    KeptTexts,
    Texts,
    prune_checkpoint,
    prune_tokenizers,
    read_texts,
    recorded,
    texts_of,
)
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.storage.files import read_folder
from keras_transformer.zoo.tasks.answering.question_answering import QuestionAnswering
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.embedding import Embedding
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.tasks.tagging.token_classification import TokenClassification
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tasks.transcription.transcription import Transcription
from keras_transformer.zoo.tasks.translation import Translation
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.training.adaptation.adapter import AdaptedWeights, Adapter

# Tokens that a published model reads or writes by default: caches of its longest context would
# be many times its weights.
_MOST_TOKENS = 512
# Of a fine-tuning from published weights: those of Devlin et al. 2018, appendix A.3, with a larger
# learning rate for smaller models.
FINE_TUNING = {"optimizer": "adamw", "weight_decay": 0.01, "epochs": 3}
SMALL = 50e6
_RATES = ((SMALL, 1e-4), (200e6, 5e-5), (float("inf"), 2e-5))


def as_checkpoint(
    given: Checkpoint | str | os.PathLike, *, prune_vocabulary: Texts | None = None
) -> Checkpoint:
    """Returns the given checkpoint, or loads one from its folder, or a published model.

    Args:
        given: checkpoint, its folder or a published model.
        prune_vocabulary: texts whose pieces alone the vocabulary keeps, see `prune_checkpoint`.

    Raises:
        FileNotFoundError: if there is no such folder, or no base of its adapter.
        InputError: if it is not a checkpoint, a file is missing or was edited, or the base of its
            adapter has changed.
        TypeError: if it is neither a checkpoint nor a path.
    """
    if isinstance(given, str | os.PathLike):
        if is_published(given):
            return published_checkpoint(given, prune_vocabulary=prune_vocabulary)
        given = _stored(given)
    if not isinstance(given, Checkpoint):
        raise TypeError(f"Expected a checkpoint or the path of its folder, got {given!r}.")
    return given if prune_vocabulary is None else prune_checkpoint(given, prune_vocabulary)


def published_checkpoint(
    name: str | os.PathLike, *, prune_vocabulary: Texts | None = None
) -> Checkpoint:
    """Returns a published model as it is, with the task of its head or of its family.

    Args:
        name: see `load_pretrained`.
        prune_vocabulary: texts whose pieces alone the vocabulary keeps; other rows are not read.

    Raises:
        FileNotFoundError, InputError: see `load_pretrained` and `read_texts`.
        InputError: if the family reads or writes other sequences than a task here.
    """
    pretrained = load_pretrained(name)
    if reason := pretrained.published.only_trained:
        raise InputError(
            f"Expected a model that is used as it is, got {pretrained.location.name}, which "
            f"{reason}, unlike a translator here; train it with keras-transformer train first."
        )
    if pretrained.head.other:
        raise InputError(
            f"Expected a model that is used as it is, got {pretrained.location.name} with the head "
            f"{pretrained.head.other}, which is not read; train it with keras-transformer "
            "train first, with a new head."
        )
    task = task_of(pretrained)
    origin, whole, probes = pretrained.provenance, pretrained.config, PROBE_TEXTS
    texts = None if prune_vocabulary is None else read_texts(prune_vocabulary)
    if texts is not None:
        pretrained, probes = pruned(pretrained, task, texts), texts.texts
    modality = modality_of(pretrained, min(pretrained.max_length, _MOST_TOKENS))
    columns = {use: use for use, column in task.columns.items() if column == ""}
    recipe = Recipe.of_task(
        task, model=pretrained.location.name, published=origin, train="",
        validation="", max_length=modality.max_length, **columns, **task.options(),
    )  # fmt: skip
    if texts is not None:
        recipe = recorded(recipe, texts, whole, pretrained.config, after_training=True)
    model = pretrained.build(task, trained_head=bool(pretrained.head.output))
    return Checkpoint(
        config=pretrained.config, task=task, modality=modality, model=model, recipe=recipe,
        metrics={}, probes=published_probes(task, modality, probes),
    )  # fmt: skip


def pruned(
    pretrained: Pretrained, task: Task, texts: KeptTexts,
    more: Mapping[str, Sequence[str]] | None = None,
) -> Pretrained:  # fmt: skip
    """Returns a published model with the part of its vocabulary that texts need.

    Args:
        pretrained: published model.
        task: task that the model will do.
        texts, more: texts, see `texts_of`.
    """
    tokenizers = pretrained.tokenizers
    if tokenizers is None or pretrained.script is not None:
        raise InputError(
            f"Expected no prune_vocabulary for {pretrained.location.name}, which reads "
            f"{pretrained.config.modality}, got texts; leave it out."
        )
    read = texts_of(task, texts, modality_of(pretrained, pretrained.max_length), more)
    kept = prune_tokenizers(tokenizers.tokenizer, tokenizers.target, read, one_table=True)
    smaller = PublishedTokenizer(
        tokenizer=kept.tokenizer, rows=tokenizers.rows[kept.rows], target=kept.target
    )
    config = pretrained.config.replace(vocab_size=len(kept.rows))
    return dataclasses.replace(pretrained, tokenizers=smaller, config=config)


def task_of(pretrained: Pretrained) -> Task:
    """Returns the task that a published model does as it is."""
    architecture = pretrained.config.architecture
    if architecture == "decoder":
        return LanguageModeling()
    if architecture == "encoder-decoder":
        return Translation() if pretrained.script is None else Transcription()
    head, modality = pretrained.head, pretrained.config.modality
    if head.output == TAGS:
        # Each tag by itself, as `transformers` has it: some begin entities with I-, which is IOB1.
        return TokenClassification(labels=head.labels, constrained=False)
    if head.output == ANSWERS:
        return QuestionAnswering()
    if head.output == CLASSES:
        return Classification(labels=head.labels).reading(modality)
    return Embedding(normalize=pretrained.normalize).reading(modality)


def modality_of(pretrained: Pretrained, max_length: int) -> Text | Image | Speech:
    """Returns the modality with the published tokenizers, for training in bulk, or of images."""
    if pretrained.pixels is not None:
        config = pretrained.config
        return Image(max_length=config.max_length, settings=config.modality_settings)
    tokenizers, segments = pretrained.tokenizers, pretrained.config.num_segments > 1
    target = tokenizers.target
    if pretrained.script is not None:
        return Speech(
            max_length=max_length, settings=pretrained.config.modality_settings,
            tokenizer=_for_training(tokenizers.tokenizer, False), script=pretrained.script,
        )  # fmt: skip
    return Text(
        max_length=max_length, chat=pretrained.chat,
        tokenizer=_for_training(tokenizers.tokenizer, segments),
        target_tokenizer=None if target is None else _for_training(target, segments),
    )  # fmt: skip


def fine_tuning_defaults(pretrained: Pretrained) -> dict[str, Any]:
    """Returns the defaults of recipe options where a run begins with published weights."""
    rate = next(rate for most, rate in _RATES if pretrained.parameters < most)
    return {**FINE_TUNING, "learning_rate": rate}


def opened(recipe: Recipe) -> tuple[Recipe, Pretrained | None]:
    """Opens the published model that a run begins with, if any.

    Returns:
        The recipe with its origin, and the model.

    Raises:
        FileNotFoundError, InputError: see `load_pretrained`.
        InputError: if a file is another than when the recipe was written.
    """
    if not is_published(recipe.model.name, or_checkpoint=False):
        return recipe, None
    pretrained = load_pretrained(recipe.model.name)
    found = pretrained.provenance
    check_files(found["sha256"], recipe.model.published, recipe.model.name)
    return recipe.replace(model=pretrained.location.name, published=found), pretrained


def check_files(found: Mapping[str, str], origin: Mapping[str, Any], name: str) -> None:
    """Raises InputError if a file is another than when a recipe was written.

    Args:
        found: SHA-256 of each file.
        origin: what the recipe records, see `Pretrained.provenance`.
        name: name of the model.
    """
    for file, digest in origin.get("sha256", {}).items():
        if found.get(file) != digest:
            raise InputError(
                f"Expected {file} of {name} to be the file of the recipe, got another one "
                f"(SHA-256 {found.get(file)})."
            )


def assign(pretrained: Pretrained, config: TransformerConfig, model: keras.Model) -> None:
    """Assigns the published weights to a model with changed settings; its head stays as it is.

    Positions are interpolated where the size of the input is changed.
    """
    dataclasses.replace(pretrained, config=config, stored_config=pretrained.config).assign(model)


def base_of_adapter(pretrained: Pretrained) -> dict[str, Any]:
    """Returns the origin of a base for its adapters, with an absolute path if it is no hub's."""
    source = pretrained.location.name
    source = source if source.startswith(HUB) else os.path.abspath(source)
    return {**pretrained.provenance, "source": source}


def _stored(path: str | os.PathLike) -> Checkpoint:
    """The checkpoint of a folder, whose other weights are published if it holds an adapter."""
    files = read_folder(path)
    if ADAPTER not in files:
        return Checkpoint.of_files(files, path)
    adapter = Adapter.of_files(files, path)
    base = _base_of(adapter, path)
    # A row of padding may be added, see `load_pretrained`.
    most_rows = 0 if base.rows is None else len(base.rows)
    weights = AdaptedWeights(
        adapter=adapter, path=path, base_arrays=len(base.tensors),
        base_numbers=base.tensors.size + most_rows * base.config.hidden_dim,
        assign_base=lambda model, config: assign(base, config, model),
    )  # fmt: skip
    return Checkpoint.of_files(files, path, weights)


def _base_of(adapter: Adapter, path: str | os.PathLike) -> Pretrained:
    """The published model that an adapter belongs to, at its source or beside the adapter."""
    source = adapter.base["source"]
    if not source.startswith(HUB):
        source = _found(source, path)
    pretrained = load_pretrained(source)
    found, expected = pretrained.provenance["sha256"], adapter.base["sha256"]
    # Adapters of before say nothing of their base's tokenizer.
    untold = () if expected.keys() & {*TOKENIZER_FILES} else TOKENIZER_FILES
    for name in sorted({*found, *expected}.difference(untold)):
        if found.get(name) != expected.get(name):
            raise InputError(
                f"Expected {name} of {source} to be that of the base of {path} (SHA-256 "
                f"{expected.get(name)}), got another one (SHA-256 {found.get(name)})."
            )
    return pretrained


def _found(source: str, path: str | os.PathLike) -> str:
    """The path of a base: where two folders have moved, they may stand side by side."""
    beside = str(Path(os.path.abspath(path)).parent / PurePath(source).name)
    places = [*dict.fromkeys((source, beside))]
    for place in places:
        if is_published(place) and Path(place).exists():
            return place
    raise FileNotFoundError(
        f"There is no published model {' or '.join(places)}, which {path} is an adapter of."
    )


def _for_training(tokenizer: Tokenizer, segments: bool) -> Tokenizer:
    """The tokenizer of training, without segments for a model that has none."""
    config, special = tokenizer.config, tokenizer.config.special
    if special.segments and not segments:
        config = dataclasses.replace(config, special=dataclasses.replace(special, segments=False))
    return Tokenizer(config, tokenizer.vocabulary)
