"""Models with a part of their vocabulary: the rows that given texts need, and the same outputs."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.plain_text import load_plain_text
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.raw_texts import checked_texts
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.fused_config import check_single
from keras_transformer.zoo.models.memory import parameters_of
from keras_transformer.zoo.outputs import MASKS, REPLACED
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.recipe.training_data import is_path, rows_digest
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tokenizers.prune import needed_ids, with_ids
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, pad_rows

# A path, or texts in memory.
Texts = str | os.PathLike | Iterable[str]
_MOST_PROBES = 32
_FLOAT_BYTES = 4
_TABLES, _SOURCE_TABLE = ("token_embedding/", "logits_head/"), "source_token_embedding/"


class KeptTexts(NamedTuple):
    """Texts whose pieces a vocabulary keeps.

    Attributes:
        texts: texts, none of them blank.
        file: absolute path; empty for texts in memory.
        digest: SHA-256 of the texts.
    """

    texts: list[str]
    file: str
    digest: str


class KeptRows(NamedTuple):
    """Tokenizers with a part of their vocabularies.

    Attributes:
        tokenizer: tokenizer of the input.
        target: tokenizer of the output, if it differs.
        rows: rows of the input's table that stay, in ascending order.
        target_rows: likewise of the output's; the same where they share one table.
    """

    tokenizer: Tokenizer
    target: Tokenizer | None
    rows: np.ndarray
    target_rows: np.ndarray


def read_texts(source: Texts) -> KeptTexts:
    """Reads the texts to prune a vocabulary to: each line of a file, or texts in memory.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is not UTF-8, or there is no text.
        TypeError: if it is neither a path nor a list of texts.
    """
    if is_path(source):
        file = os.path.abspath(os.fspath(source))
        texts = load_plain_text(file).text.split("\n")
    else:
        file, texts = "", checked_texts(source, "prune_vocabulary")
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise InputError("Expected prune_vocabulary to hold texts, got none.")
    return KeptTexts(texts, file, rows_digest(texts))


def recipe_of_run(recipe: Recipe) -> Recipe:
    """Returns the recipe of a run that is repeated: its vocabulary is whole if it was then."""
    if recipe.tokenizer.pruned.get("after_training"):
        return recipe.replace(prune_vocabulary="", pruned={})
    return recipe


def texts_of_run(recipe: Recipe, source: Iterable[str] | None = None) -> KeptTexts | None:
    """Returns the texts that the vocabulary of a run is pruned to; None for a whole vocabulary.

    Args:
        recipe: recipe of the run.
        source: texts in memory, in place of the recipe's file.

    Raises:
        FileNotFoundError, InputError, TypeError: see `read_texts`.
        InputError: if the recipe's texts were in memory, or the file has others since.
    """
    file, pruned = recipe.tokenizer.prune_vocabulary, recipe.tokenizer.pruned
    if source is not None:
        return read_texts(source)
    if not file:
        if pruned:
            raise InputError(
                f"The texts that the vocabulary was pruned to were in memory (SHA-256 "
                f"{pruned['sha256'][:12]}): give --prune-vocabulary FILE (prune_vocabulary= in "
                "Python)."
            )
        return None
    texts = read_texts(file)
    if pruned and pruned["sha256"] != texts.digest:
        raise InputError(
            f"Expected {file} to hold the texts of the recipe (SHA-256 {pruned['sha256'][:12]}), "
            f"got others (SHA-256 {texts.digest[:12]}); bring those back, or give "
            "--prune-vocabulary FILE (prune_vocabulary= in Python)."
        )
    return texts


def prune_tokenizers(
    tokenizer: Tokenizer, target: Tokenizer | None, texts: Mapping[str, Sequence[str]], *,
    one_table: bool,
) -> KeptRows:  # fmt: skip
    """Returns the tokenizers of a model with the pieces that texts need.

    Args:
        tokenizer, target: tokenizers of the input and of the output, if that differs.
        texts: texts by the tokenizer's name, see `Task.vocabulary_texts`.
        one_table: whether both tokenizers have the same ids.
    """
    if target is None:
        kept = needed_ids(tokenizer, [text for part in texts.values() for text in part])
        return _rows(tokenizer, None, kept, kept)
    kept = needed_ids(tokenizer, texts["tokenizer"])
    target_kept = needed_ids(target, texts["target_tokenizer"])
    if one_table:
        common = {i for i in kept | target_kept if i < tokenizer.vocab_size}
        kept, target_kept = kept | common, target_kept | common
    return _rows(tokenizer, target, kept, target_kept)


def _rows(
    tokenizer: Tokenizer, target: Tokenizer | None, kept: set[int], target_kept: set[int]
) -> KeptRows:
    """The tokenizers with places in their vocabularies; those past the last id have no row."""
    ordered, target_ordered = sorted(kept), sorted(target_kept)
    limit = (target or tokenizer).vocab_size
    return KeptRows(
        with_ids(tokenizer, ordered), target and with_ids(target, target_ordered),
        np.array([i for i in ordered if i < tokenizer.vocab_size], np.int32),
        np.array([i for i in target_ordered if i < limit], np.int32),
    )  # fmt: skip


def texts_of(
    task: Task, texts: KeptTexts, modality: Text,
    more: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, list[str]]:  # fmt: skip
    """Returns texts by the tokenizer's name: those of a translator may be of either side.

    Args:
        task: task of the model.
        texts: texts to prune the vocabulary to.
        modality: modality of the model, which reads texts in its chat too, if it has one.
        more: training texts, see `Task.vocabulary_texts`.
    """
    chat = modality.chat
    said = [] if chat is None else chat.read_with(texts.texts, modality.tokenizer)
    names = ("tokenizer", "target_tokenizer") if task.reads_sources else ("tokenizer",)
    return {name: [*texts.texts, *said, *(more or {}).get(name, ())] for name in names}


def prune_checkpoint(checkpoint: Checkpoint, source: Texts) -> Checkpoint:
    """Returns a float checkpoint without the rows of its tables that texts do not need.

    Its outputs for these texts stay the same. Other texts are split into smaller pieces.

    Args:
        checkpoint: float checkpoint of a model that reads text.
        source: text file, one text a line, or a list of texts.

    Raises:
        FileNotFoundError, InputError, TypeError: see `read_texts`.
        InputError: if the checkpoint is quantized, was pruned in this way before, reads no text, or
            its tokenizer is of bytes.
    """
    if not isinstance(checkpoint.modality, Text):
        raise InputError(
            "Expected a model that reads text to prune the vocabulary of, got one of "
            f"{checkpoint.modality.name}."
        )
    if checkpoint.is_quantized:
        raise InputError(
            "Expected a float checkpoint to prune the vocabulary of, got one of precision="
            f"{checkpoint.precision}; prune the one that it was made from."
        )
    check_whole(checkpoint.recipe)
    check_single(checkpoint.config, "to prune the vocabulary of")
    texts = read_texts(source)
    modality, config = checkpoint.modality, checkpoint.config
    rows = prune_tokenizers(
        modality.tokenizer, modality.target_tokenizer, texts_of(checkpoint.task, texts, modality),
        one_table=not config.source_vocab_size,
    )  # fmt: skip
    pruned = dataclasses.replace(
        modality, tokenizer=rows.tokenizer, target_tokenizer=rows.target
    )
    # Rows past the tokenizer's are of target languages.
    source_rows = _with_rest(rows.rows, modality.tokenizer, config.source_vocab_size)
    if config.source_vocab_size:
        shared = rows.target_rows
        smaller = config.replace(vocab_size=len(shared), source_vocab_size=len(source_rows))
    else:
        shared = _with_rest(rows.rows, modality.tokenizer, config.vocab_size)
        smaller = config.replace(vocab_size=len(shared))
    model = build(smaller, checkpoint.task)
    shapes = {weight.path: tuple(weight.shape) for weight in model.weights}
    weights = get_weights(checkpoint.model)
    for path, value in weights.items():
        if path.startswith((*_TABLES, _SOURCE_TABLE)):
            kept = source_rows if path.startswith(_SOURCE_TABLE) else shared
            weights[path] = _taken(value, kept, shapes[path])
    set_weights(model, weights)
    return dataclasses.replace(
        checkpoint, config=smaller, modality=pruned, model=model,
        recipe=recorded(checkpoint.recipe, texts, config, smaller, after_training=True),
        probes=probes_of(checkpoint.task, pruned, texts.texts),
    )  # fmt: skip


def _with_rest(rows: np.ndarray, tokenizer: Tokenizer, size: int) -> np.ndarray:
    return np.concatenate([rows, np.arange(tokenizer.vocab_size, size, dtype=np.int32)])


def _taken(value: np.ndarray, rows: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The rows of a table, or the columns of a kernel, of which a shape has fewer."""
    for axis, (old, new) in enumerate(zip(value.shape, shape, strict=True)):
        if old != new:
            return np.take(value, rows, axis=axis)
    return value


def check_whole(recipe: Recipe) -> None:
    """Raises InputError if a model's vocabulary was pruned before: the recipe records one file."""
    if pruned := recipe.tokenizer.pruned:
        raise InputError(
            "Expected a model with its whole vocabulary to prune, got one that has "
            f"{pruned['kept']:,} of {pruned['pieces']:,} pieces; give all texts at once."
        )


def recorded(
    recipe: Recipe, texts: KeptTexts, whole: TransformerConfig, smaller: TransformerConfig, *,
    after_training: bool,
) -> Recipe:  # fmt: skip
    """Returns a recipe with the texts that a vocabulary was pruned to, and the effect.

    Args:
        recipe: recipe of the model.
        texts: texts.
        whole, smaller: configs of the model before and after.
        after_training: whether the run had the whole vocabulary.
    """
    pruned = {
        "sha256": texts.digest, "pieces": _pieces(whole), "kept": _pieces(smaller),
        "parameters": parameters_of(whole) - parameters_of(smaller),
        "after_training": after_training,
    }
    return recipe.replace(prune_vocabulary=texts.file, pruned=pruned)


def _pieces(config: TransformerConfig) -> int:
    return config.vocab_size + config.source_vocab_size


def pruning_note(recipe: Recipe) -> str:
    """Returns the effect of pruning a model's vocabulary in a sentence."""
    pruned = recipe.tokenizer.pruned
    megabytes = _FLOAT_BYTES * pruned["parameters"] / 1e6
    return (
        f"The vocabulary is pruned to {kept_for(recipe)}: {pruned['pieces']:,} -> "
        f"{pruned['kept']:,} pieces, {megabytes:.1f} MB less in float32."
    )


def kept_for(recipe: Recipe) -> str:
    """Returns in words the texts that a pruned vocabulary keeps the pieces of."""
    file, pruned = recipe.tokenizer.prune_vocabulary, recipe.tokenizer.pruned
    rows = "" if pruned["after_training"] else " and the training rows"
    return f"{Path(file).name if file else 'the given texts'}{rows}"


def probes_of(task: Task, modality: Text, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns a few texts as inputs by name, on which conversions are checked.

    Args:
        task: task of the model.
        modality: modality that encodes the texts.
        texts: texts, of which some are taken at equal distances.
    """
    texts = list(texts)[:: -(-len(texts) // _MOST_PROBES)]
    # In the order of the task's columns, whatever their names.
    source: Any = texts
    if task.reads_sources:
        source = {use: texts for use in ("source", *(task.labels or ("target",)))}
    elif not (task.generates or task.output in (MASKS, REPLACED)):
        source = (texts, texts) if task.pair else (texts,)
    examples = task.examples_of(source, labelled=False)
    inputs: Mapping[str, list[np.ndarray]] = task.inputs(examples, modality)
    return {name: pad_rows(rows) for name, rows in inputs.items()}
