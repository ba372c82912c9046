"""The modality of a run, with tokenizers learned from the training data."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.zoo.columns.texts import Texts, joined
from keras_transformer.zoo.data.rows import sampled
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.modalities.speech import Speech
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.prepared.context import current_store
from keras_transformer.zoo.prepared.store import Store
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import OPTIONS, Recipe
from keras_transformer.zoo.recipe.parts import Tokenizer as TokenizerOptions
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.choose import choose_kind
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary, read_vocabulary

_DEFAULTS = TokenizerOptions()


def learn_modality(
    recipe: Recipe, config: TransformerConfig, task: Task, examples: Any
) -> Modality:
    """Returns the modality that encodes the rows of a run.

    Args:
        recipe: recipe of the run.
        config: config of the model, whose vocabulary size limits the learned one.
        task: task that read the examples.
        examples: training examples.

    Raises:
        InputError: if the recipe has a mistake, such as an option that the modality lacks.
    """
    if isinstance(config, SeveralConfig):
        return _learn_several(recipe, config, task, examples)
    learn = LEARNED.get(config.modality)
    if learn is not None:
        return learn(recipe, config, task, examples)
    for name, option in OPTIONS.items():
        if option.part == "tokenizer" and getattr(recipe.tokenizer, option.field) != (
            getattr(_DEFAULTS, option.field)
        ):
            raise InputError(
                f"Expected no {name} for a model that reads {config.modality}, which has no "
                f"tokenizer, got {name}={getattr(recipe.tokenizer, option.field)!r}."
            )
    for name in ("token_dropout", "piece_dropout"):
        value = getattr(recipe.data, name)
        if value:
            raise InputError(
                f"Expected {name} to be 0 for a model that reads {config.modality}, "
                f"got {name}={value}."
            )
    return modality_named(config.modality).from_files(
        {}, max_length=recipe.data.max_length, settings=config.modality_settings
    )


def _learn_several(
    recipe: Recipe, config: SeveralConfig, task: Task, examples: Any
) -> Modality:
    """The modality of several kinds, each learned as if it were alone."""
    if recipe.data.piece_dropout:
        raise InputError(
            f"Expected piece_dropout to be 0 for a model that reads {config.modality}, got "
            f"piece_dropout={recipe.data.piece_dropout}."
        )
    members = {
        name: learn_modality(
            recipe if one.positions_of_rows is None or "text" not in config.members
            else _without_tokenizer(recipe), one, task, examples
        )
        for name, one in config.members.items()
    }  # fmt: skip
    return modality_named(config.modality)(
        max_length=recipe.data.max_length, settings=config.modality_settings, members=members
    )


def _without_tokenizer(recipe: Recipe) -> Recipe:
    """The recipe of a kind beside a text, whose options of tokenizers and tokens are the text's."""
    data = dataclasses.replace(recipe.data, token_dropout=0.0, piece_dropout=0.0)
    return dataclasses.replace(recipe, tokenizer=_DEFAULTS, data=data)


def _learn_text(recipe: Recipe, config: TransformerConfig, task: Task, examples: Any) -> Text:
    texts = task.vocabulary_texts(sampled(examples, recipe.tokenizer.vocabulary_rows))
    recipe = recipe.replace(tokenizer=_kind(recipe, texts))
    if recipe.tokenizer.shared_vocabulary and len(texts) > 1:
        tokenizers = {"tokenizer": _learn_tokenizer(recipe, _together(texts), config)}
    else:
        tokenizers = {
            name: _learn_tokenizer(recipe, part, config) for name, part in texts.items()
        }
    return Text(max_length=recipe.data.max_length, **tokenizers)


def _learn_speech(
    recipe: Recipe, config: TransformerConfig, task: Task, examples: Any
) -> Speech:
    text = _learn_text(recipe, config, task, examples)
    return Speech(
        max_length=text.max_length, settings=config.modality_settings, tokenizer=text.tokenizer
    )


def _kind(recipe: Recipe, texts: Mapping[str, Sequence[str]]) -> str:
    """The recipe's kind of tokenizer, or the one that the data select."""
    given = recipe.tokenizer
    if given.kind != "auto":
        return given.kind
    if given.vocabulary:
        return "wordpiece"
    return choose_kind(_together(texts), given.vocab_size)


def _together(texts: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The texts of all tokenizers."""
    return joined(list(texts.values()))


def with_selected_tokenizer(recipe: Recipe, modality: Modality, report: Report) -> Recipe:
    """Returns the recipe with the kind of tokenizer that the data selected, and reports it.

    Args:
        recipe: recipe of the run.
        modality: result of `learn_modality`.
        report: receives a note if it is not the usual kind.
    """
    text = modality if isinstance(modality, Speech) else modality.text
    if recipe.tokenizer.kind != "auto" or text is None:
        return recipe
    kind = text.tokenizer.config.kind
    if kind != "wordpiece":
        report.note(
            f"The tokenizer is {kind}, because the training data is in a script without spaces "
            "between words; --tokenizer selects another."
        )
    return recipe.replace(tokenizer=kind)


def _learn_tokenizer(recipe: Recipe, texts: Sequence[str], config: TransformerConfig) -> Tokenizer:
    """The recipe's tokenizer, with a vocabulary read from a file or learned from texts."""
    given = recipe.tokenizer
    settings = TokenizerConfig(
        kind=given.kind, lowercase=given.lowercase, strip_accents=given.strip_accents,
        normalization=given.normalization,
    )  # fmt: skip
    if given.kind == "bytes":
        return Tokenizer(settings)
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
        if (store := current_store()) is not None and isinstance(texts, Texts):
            return _prepared_tokenizer(store, texts, given.vocab_size, settings)
        vocabulary = learn_vocabulary(texts, given.vocab_size, settings)
    return Tokenizer(settings, vocabulary)


def _prepared_tokenizer(
    store: Store, texts: Texts, size: int, settings: TokenizerConfig
) -> Tokenizer:
    """The tokenizer learned from texts, unless that was done before."""

    def write(folder: Path) -> None:
        learned = Tokenizer(settings, learn_vocabulary(texts, size, settings))
        for name, data in learned.to_files().items():
            (folder / name).write_bytes(data)

    key = {"texts": texts.key, "size": size, "settings": settings.to_json()}
    folder, _ = store.entry("tokenizer", key, write)
    return Tokenizer.from_files({file.name: file.read_bytes() for file in folder.iterdir()})


# Modality -> the function that learns it from the training data, where it is learned.
LEARNED: dict[str, Callable[[Recipe, TransformerConfig, Task, Any], Modality]] = {
    "speech": _learn_speech,
    "text": _learn_text,
}
