"""Column names of the data by their use: the given ones, else those of training."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.target_language import check_language

# Uses of columns; `language` is the target language of a translator, in place of `target`.
COLUMNS = (
    "text", "text_pair", "image", "audio", "label", "source", "target", "language",
)  # fmt: skip


def check_no_columns(sources: Iterable[Any], given: Mapping[str, Any]) -> None:
    """Raises InputError for the name of a column where all data are folders, which have none.

    Args:
        sources: data, see `Source`, or None.
        given: options by name; None where one was not given.
    """
    paths = [Path(one) for one in sources if isinstance(one, str | os.PathLike)]
    if not paths or not all(path.is_dir() for path in paths):
        return
    for name in COLUMNS:
        if given.get(name) is not None:
            raise InputError(
                f"Expected no {name} column for {paths[0]}, where each file's folder is its label, "
                f"got {name}={given[name]!r}; leave it out, or give a table."
            )


class Trained(Protocol):
    """A model that records the columns it was trained on: a checkpoint or a `Runner`."""

    task_name: str
    labels: Sequence[str]
    pair: bool
    columns: Mapping[str, str | None]


def columns_of(
    model: Trained, *, data: Any = None, language: str | None = None, **given: str | None
) -> dict[str, str | None]:
    """Returns the columns to read: the given ones, and for other uses those of training.

    Args:
        model: model that records the columns of its task.
        data: what the columns are of, see `Source`; a folder of classes has none.
        language: target language of a multilingual translator, which is also its column's name.
        **given: names by use, such as `text`, `label`, `source`; None where one was not given.

    Raises:
        InputError: if a column is neither given nor known to the model, a given one is not a column
            of the task, or the language is unknown.
    """
    check_no_columns([data], given)
    columns = dict(model.columns)
    if "target" in columns:
        check_language(model.labels, language)
        columns["target"] = language or columns["target"]
    for name, value in given.items():
        if value is None:
            continue
        if name not in columns:
            known = ", ".join(columns) or "none"
            raise InputError(
                f"Expected columns of {model.task_name} ({known}), got {name}={value!r}."
            )
        columns[name] = value
    optional = {"text_pair", "image", "audio"}
    if "negative" in columns:
        # Only training reads negatives, and pairs that match have no scores.
        columns["negative"] = None
        optional |= {"negative", "label"}
    for name, value in columns.items():
        if value is None and (name not in optional or (name == "text_pair" and model.pair)):
            raise InputError(
                f"Expected the name of the column {name}, which the model does not say, got none."
            )
    return columns
