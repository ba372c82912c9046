"""Recipe options: the fields of a recipe's parts, with the bounds of their values."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from keras_transformer.zoo.errors import InputError

# What no path and no file of UTF-8 holds.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_KINDS = {int: "an integer", float: "a number", bool: "true or false", str: "text"}


def option(
    default: Any = dataclasses.MISSING, *, name: str | None = None, choices: Sequence[str] = (),
    above_zero: bool = False, fraction: bool = False, of_task: bool = False,
) -> Any:  # fmt: skip
    """Declares a field of a recipe's part.

    Args:
        default: default of the field; without one the option is required.
        name: name of the option, where it differs from the field's.
        choices: allowed values of a string.
        above_zero: whether zero is rejected; numbers are never negative.
        fraction: whether the value is at least 0 and below 1.
        of_task: whether it sets a field of the task, see `Recipe.task_options`.
    """
    bounds = {"name": name, "choices": choices, "above_zero": above_zero, "fraction": fraction}
    return dataclasses.field(default=default, metadata={**bounds, "of_task": of_task})


def option_name(field: dataclasses.Field) -> str:
    """Returns the name of a part's field among the options of all parts."""
    return field.metadata.get("name") or field.name


class Part:
    """A part of a recipe, which checks each of its values."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check(option_name(field), getattr(self, field.name), field.type, field.metadata)


def check_text(name: str, text: str) -> None:
    """Raises InputError if a text cannot be written: it holds a NUL or a lone surrogate.

    Python gives the latter for the bytes of a name that are not UTF-8.
    """
    if _UNWRITABLE.search(text):
        raise InputError(
            f"Expected {name} to be UTF-8 without NUL, as a recipe is, got {name}={text!r}; rename "
            "what has another name."
        )


def _check(name: str, value: Any, kind: Any, bounds: Mapping[str, Any]) -> None:
    if kind in _KINDS:
        fits = isinstance(value, (int, float)) if kind is float else type(value) is kind
        if not fits or (kind is float and isinstance(value, bool)):
            raise InputError(f"Expected {name} to be {_KINDS[kind]}, got {name}={value!r}.")
        if kind is str:
            check_text(name, value)
    elif kind == tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise InputError(f"Expected {name} to be a list of text, got {name}={value!r}.")
        for one in value:
            check_text(name, one)
    elif not isinstance(value, Mapping):
        raise InputError(f"Expected {name} to be an object, got {name}={value!r}.")
    if kind is float and not _is_finite(value):
        raise InputError(f"Expected {name} to be finite, got {name}={value}.")
    choices = bounds.get("choices")
    if choices and value not in choices:
        raise InputError(f"Expected {name} to be one of {', '.join(choices)}, got {value!r}.")
    if bounds.get("above_zero") and not value > 0:
        raise InputError(f"Expected {name} to be above 0, got {name}={value}.")
    if bounds.get("fraction") and not 0 <= value < 1:
        raise InputError(f"Expected {name} to be from 0 to below 1, got {name}={value}.")
    if kind is int and value >= 2**31 and not name.endswith("seed"):
        raise InputError(f"Expected {name} to be below 2**31, got {name}={value}.")
    if kind in (int, float) and not value >= 0:
        raise InputError(f"Expected {name} not to be negative, got {name}={value}.")


def _is_finite(value: float) -> bool:
    """Whether a float can hold a number, which an integer of any size may be."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
