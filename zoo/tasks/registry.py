"""Registry of the tasks by name."""

import collections
import importlib
from collections.abc import Mapping
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.several import PLUS

# Another name of a task, by which it is asked for -> the name in recipes, checkpoints and files.
ALIASES = {"similarity": "embedding"}


class TaskTable(collections.UserDict):
    """Task classes by name; an entry may be an import path, which is imported on first use.

    This makes the names available before Keras is loaded. A task is also found by its alias, which
    is not among the names.
    """

    def __contains__(self, name: object) -> bool:
        return super().__contains__(ALIASES.get(name, name))

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(ALIASES.get(name, name))
        if not isinstance(value, str):
            return value
        module, _, task = value.rpartition(".")
        return getattr(importlib.import_module(module), task)


_ROOM = "keras_transformer.zoo.tasks"
TASKS = TaskTable(
    {
        "classification": f"{_ROOM}.classification.Classification",
        "multi-label": f"{_ROOM}.multi_label.MultiLabel",
        "regression": f"{_ROOM}.regression.Regression",
        "embedding": f"{_ROOM}.embedding.Embedding",
        "token-classification": f"{_ROOM}.tagging.token_classification.TokenClassification",
        "question-answering": f"{_ROOM}.answering.question_answering.QuestionAnswering",
        "masked-language-modeling": (
            f"{_ROOM}.masked.masked_language_modeling.MaskedLanguageModeling"
        ),
        "multi-task": f"{_ROOM}.multi_task.multi_task.MultiTask",
        "contrastive": f"{_ROOM}.matching.contrastive.Contrastive",
        "transcription": f"{_ROOM}.transcription.transcription.Transcription",
        "translation": f"{_ROOM}.translation.Translation",
        "language-modeling": f"{_ROOM}.language_modeling.LanguageModeling",
    }
)
DEFAULT_TASK = "classification"


def task_named(name: str) -> Any:
    """Returns the class of a task, by its name or its alias.

    Raises:
        InputError: if the name is unknown; the message lists the known ones.
    """
    if name not in TASKS:
        known = ", ".join((*TASKS, *ALIASES))
        raise InputError(f"Expected task to be one of {known}, got task={name!r}.")
    return TASKS[name]


def tasks_for(architecture: str, modality: str = "text") -> tuple[str, ...]:
    """Returns the names of the tasks that models of an architecture can be trained for.

    Args:
        architecture: architecture of a model.
        modality: modality of its inputs.
    """
    return tuple(
        name for name in TASKS
        if architecture in TASKS[name].architectures
        and (modality == TASKS[name].modality or TASKS[name].trains_on_any)
        and (PLUS in modality or TASKS[name].fusion is None)
    )  # fmt: skip


def task_from_json(value: Any, labels: tuple[str, ...]) -> Any:
    """Returns the task of a checkpoint or a file.

    Args:
        value: result of `Task.to_json`.
        labels: labels of the model.

    Raises:
        InputError: if the value does not describe a task.
    """
    if not isinstance(value, Mapping) or "name" not in value:
        raise InputError(f"Expected a task with name and pair, got {value!r}.")
    return task_named(value["name"]).from_json(value, labels)


def task_of(predictor: Any) -> Any:
    """Returns the task of a `Checkpoint`, or of a `Runner`, from its file."""
    if isinstance(predictor.task, str):
        return task_from_json(predictor.description["task"], tuple(predictor.labels))
    return predictor.task
