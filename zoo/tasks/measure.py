"""Measures a checkpoint or a file on data, with the columns and options that the caller gives."""

from collections.abc import Mapping
from typing import Any

from keras_transformer.zoo.data.columns import COLUMNS, columns_of
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.decoding import Decoding
from keras_transformer.zoo.predictor import Predictor
from keras_transformer.zoo.tabular import Metrics
from keras_transformer.zoo.tasks.registry import task_of


def evaluate(predictor: Predictor, data: Source, **options: Any) -> Metrics:
    """Returns the metrics of the predictor's task, with the number of rows and of those cut.

    Args:
        predictor: a checkpoint, or a `Runner`.
        data: labelled rows, sources and targets, or plain text: a path, or data in memory, see
            `Task.read`.
        **options: names of the columns by their use, such as `label="topic"`: those of training by
            default; `language` of a translator of several targets; and how a translator chooses
            tokens, see `Decoding`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the data or an option does not fit the task.
        TypeError: for data of another type, or an unknown option.
    """
    columns, decoding = read_options(predictor, options)
    task = task_of(predictor)
    return Metrics(task.evaluate(predictor, task.examples_of(data, columns), **decoding))


def read_options(
    predictor: Predictor, given: Mapping[str, Any]
) -> tuple[dict[str, str | None], dict[str, Any]]:
    """Splits options of an evaluation.

    Args:
        predictor: the model.
        given: options by name; None for one that was not given.

    Returns:
        The columns to read, and how a translator chooses tokens, with the language where one was
        given.

    Raises:
        InputError: if an option is impossible, or does not fit the task.
        TypeError: for an unknown option.
    """
    given = {name: value for name, value in given.items() if value is not None}
    columns = {name: value for name, value in given.items() if name in COLUMNS}
    decoding = {name: value for name, value in given.items() if name not in COLUMNS}
    Decoding.of(**decoding)
    # Only what is written is measured by what the model writes: there is a column of it.
    if decoding and "target" not in predictor.columns:
        name, value = next(iter(decoding.items()))
        raise InputError(
            f"Expected no {name} to measure a model of {predictor.task_name}, got {name}={value!r}."
        )
    if "language" in columns:
        decoding["language"] = columns["language"]
    return columns_of(predictor, **columns), decoding
