"""The raw rows of `run` for models of several kinds: an option for each kind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from keras_transformer.cli import kinds
from keras_transformer.zoo.errors import InputError

# Kind of rows -> its option's value, and what it is.
_KINDS = {"image": ("FILE", "Image"), "audio": ("FILE", "Sound"), "text": ("TEXT", "Text")}


def kind_options(command: Callable) -> Callable:
    """Adds an option for each kind of rows, for models that read several."""
    for name, (value, what) in reversed(_KINDS.items()):
        command = click.option(
            f"--{name}", f"rows_of_{name}", multiple=True, type=kinds.TEXT, metavar=value,
            help=f"{what} of a row, for a model of several kinds: once for each row, or once for "
            "all; where they match, rows of one kind are given.",
        )(command)  # fmt: skip
    return command


def named_rows(given: dict[str, Any]) -> dict[str, Sequence[str]]:
    """Takes the options of `kind_options` from those of a command, and returns the given ones."""
    found = {name: given.pop(f"rows_of_{name}") for name in _KINDS}
    return {name: values for name, values in found.items() if values}


def rows_of_kinds(predictor: Any, texts: Sequence[Any], given: dict[str, Any]) -> Sequence[Any]:
    """Returns the rows of a model: TEXTs, or those of the options of its kinds.

    Args:
        predictor: the model.
        texts: arguments of the command.
        given: its options, from which those of `kind_options` are taken.

    Raises:
        InputError: if an option is missing, not one of the model's kinds, or there are too few of
            it.
    """
    named = named_rows(given)
    wanted = [kind.name for kind in getattr(predictor.modality, "kinds", ())]
    if not wanted:
        if named:
            name = next(iter(named))
            raise InputError(
                "Expected rows as arguments for a model that reads rows of one kind at a time, got "
                f"--{name} {named[name][0]!r}."
            )
        return texts
    options = " and ".join(f"--{name}" for name in wanted)
    if texts:
        raise InputError(
            f"Expected {options} for a model of {predictor.modality.rows}, got the argument "
            f"{texts[0]!r}."
        )
    if set(named) != set(wanted):
        got = ", ".join(f"--{name}" for name in named) or "none"
        raise InputError(
            f"Expected {options} for a model of {predictor.modality.rows}, got {got}."
        )
    most = max(map(len, named.values()))
    for name, values in named.items():
        if len(values) not in (1, most):
            raise InputError(
                f"Expected one --{name} for all rows, or one for each of {most}, got "
                f"{len(values)}."
            )
    columns = [named[name] * (most // len(named[name])) for name in wanted]
    return [dict(zip(wanted, row, strict=True)) for row in zip(*columns, strict=True)]


def as_json_row(predictor: Any, row: Any) -> dict[str, Any]:
    """Returns a row as values by the names of its kinds."""
    return dict(row) if isinstance(row, Mapping) else {predictor.modality.column: row}


def shown(row: Any) -> str:
    """Returns a row on one line, those of several kinds one after another."""
    return " ".join(map(str, row.values())) if isinstance(row, Mapping) else row
