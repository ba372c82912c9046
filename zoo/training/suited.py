"""The options of a run that its training data choose, where the user chose none."""

from collections.abc import Collection
from typing import Any

from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tokenizers.scripts import spaces_words

# What a learned vocabulary of words decides, and other tokenizers do not.
_OF_WORDS = ("vocab_size", "max_length")


def suited(
    recipe: Recipe, config: TransformerConfig, task: Task, train: Any, chosen: Collection[str],
    report: Report,
) -> Recipe:  # fmt: skip
    """Returns the recipe with the options that suit the training examples, and reports them.

    Args:
        recipe: recipe of the run.
        config: config of its model.
        task: task of the run.
        train: training examples.
        chosen: names of the options and of the model's settings that stay as they are.
        report: receives a note.
    """
    values = task.suited(train)
    settings = {
        name: value for name, value in values.pop("settings", {}).items() if name not in chosen
    }
    if "vocab_size" in values:
        values["vocab_size"] = min(values["vocab_size"], config.vocab_size)
        values["max_length"] = min(values["max_length"], config.max_length)
    fixed = {*chosen, *(["epochs"] if recipe.training.steps else ())}
    fixed |= set(() if _learns_words(recipe, task, train) else _OF_WORDS)
    values = {name: value for name, value in values.items() if name not in fixed}
    if not values and not settings:
        return recipe
    shown = ", ".join(f"{name} {value}" for name, value in {**values, **settings}.items())
    report.note(f"The {len(train)} training rows suit {shown}; options of yours take precedence.")
    return recipe.replace(**values, settings={**recipe.model.settings, **settings})


def _learns_words(recipe: Recipe, task: Task, train: Any) -> bool:
    """Whether the run learns a vocabulary of word pieces from texts with spaces."""
    given = recipe.tokenizer
    if given.kind not in ("auto", "wordpiece") or given.vocabulary:
        return False
    return all(spaces_words(part) for part in task.vocabulary_texts(train).values())
