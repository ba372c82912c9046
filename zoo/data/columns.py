"""Names of the columns of data, by their use: those given, else those of training."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.target_language import check_language

# What names a column, or in place of the target's the language that a translator writes.
COLUMNS = ("text", "text_pair", "label", "source", "target", "language")


class Trained(Protocol):
    """What says which columns a model was trained on: a checkpoint, or a `Runner`."""

    task_name: str
    labels: Sequence[str]
    pair: bool
    columns: Mapping[str, str | None]


def columns_of(
    model: Trained, *, language: str | None = None, **given: str | None
) -> dict[str, str | None]:
    """The columns to read: those given, and for the others those that the model was trained on.

    Args:
        model: says what columns its task has.
        language: that a translator of several targets is to write; its column has its name.
        **given: names by use, such as `text`, `label`, `source`; None where one was not given.

    Raises:
        InputError: if a column is neither given nor known to the model, a given one is not a column
            of the task, or the language is unknown.
    """
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
    for name, value in columns.items():
        if value is None and (name != "text_pair" or model.pair):
            raise InputError(
                f"Expected the name of the column {name}, which the model does not say, got none."
            )
    return columns
