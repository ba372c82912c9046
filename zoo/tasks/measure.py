"""Evaluation of checkpoints and model files on data, with columns and options by name."""

from collections.abc import Mapping
from typing import Any

from keras_transformer.zoo.data.columns import COLUMNS, columns_of
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.unknown import unknown_shares
from keras_transformer.zoo.generation.decoding import Decoding
from keras_transformer.zoo.predictor import Predictor
from keras_transformer.zoo.tabular import Metrics
from keras_transformer.zoo.tasks.registry import task_of


def evaluate(
    predictor: Predictor, data: Source, *, out_of_scope: Source | None = None, **options: Any
) -> Metrics:
    """Returns the metrics of the predictor's task, and the numbers of rows and of truncated rows.

    Shares of unknown tokens and of the rows that have one are included, see `unknown_shares`.

    Args:
        predictor: checkpoint or `Runner`.
        data: labelled rows, sources and targets, or plain text: a path, or data in memory, see
            `Task.read`.
        out_of_scope: rows that a classifier with a threshold for them is to reject; their share is
            `out_of_scope_recall`.
        **options: column names by their use, such as `label="topic"`, by default those of training;
            `language` of a multilingual translator; and decoding options of a translator, see
            `Decoding`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the data or an option does not fit the task.
        TypeError: if the data has another type, or an option is unknown.
    """
    columns, decoding = read_options(predictor, options, data)
    task = task_of(predictor)
    examples = task.examples_of(data, columns)
    outside = {} if out_of_scope is None else scope_metrics(predictor, out_of_scope, columns)
    metrics = {**task.evaluate(predictor, examples, **decoding), **outside}
    return Metrics({**metrics, **unknown_shares(task, examples, predictor.modality)})


def scope_metrics(
    predictor: Predictor, data: Source, columns: Mapping[str, str | None]
) -> dict[str, Any]:
    """Returns the metrics of rows that a classifier is to reject, see `evaluate`.

    Args:
        predictor: checkpoint or `Runner`.
        data: rows; their labels do not matter.
        columns: columns to read, by their use.

    Raises:
        InputError: if the data does not fit the task, or the model rejects nothing.
    """
    task = task_of(predictor)
    if not task.has_scope:
        raise InputError(f"Expected no out_of_scope for {task.name}, got out_of_scope={data!r}.")
    rows = task.read(data, {**columns, "label": None}, name="out_of_scope", labelled=False)
    return task.scope_metrics(predictor.outputs(*task.rows(rows)).scores)


def read_options(
    predictor: Predictor, given: Mapping[str, Any], data: Any = None
) -> tuple[dict[str, str | None], dict[str, Any]]:
    """Separates the options of an evaluation into columns and decoding options.

    Args:
        predictor: checkpoint or `Runner`.
        given: options by name; None for one that was not given.
        data: what the columns are of, see `Source`.

    Returns:
        The columns to read, and the decoding options of a translator, with the language if one was
        given.

    Raises:
        InputError: if an option is impossible, or does not fit the task.
        TypeError: if an option is unknown.
    """
    given = {name: value for name, value in given.items() if value is not None}
    columns = {name: value for name, value in given.items() if name in COLUMNS}
    decoding = {name: value for name, value in given.items() if name not in COLUMNS}
    Decoding.of(**decoding)
    # Decoding matters only where generated text is evaluated: the data has a target column.
    if decoding and "target" not in predictor.columns:
        name, value = next(iter(decoding.items()))
        raise InputError(
            f"Expected no {name} to measure a model of {predictor.task_name}, got {name}={value!r}."
        )
    if "language" in columns:
        decoding["language"] = columns["language"]
    return columns_of(predictor, data=data, **columns), decoding
