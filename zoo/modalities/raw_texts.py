"""Raw texts as callers give them: lists, arrays and columns of strings, checked at the door."""

from collections.abc import Iterable
from typing import Any

from keras_transformer.zoo.errors import InputError


def checked_texts(texts: Iterable[str], name: str = "texts") -> list[str]:
    """Returns texts as a list of strings.

    Args:
        texts: a list, an array or a column of strings.
        name: of the argument, for messages.

    Raises:
        InputError: for a single string.
        TypeError: for what is no sequence of strings.
    """
    if isinstance(texts, str):
        raise InputError(f"Expected a list of {name}, got one string; put it in a list.")
    if not isinstance(texts, Iterable) or isinstance(texts, bytes | dict):
        raise TypeError(f"Expected {name} to be a list of strings, got {name}={_short(texts)}.")
    found = list(texts)
    for number, text in enumerate(found, start=1):
        if not isinstance(text, str):
            raise TypeError(
                f"Expected {name} to hold strings, got {_short(text)} in place {number}."
            )
    return found


def checked_pairs(texts: list[str], pairs: Iterable[str]) -> list[str]:
    """Returns second texts, one for each of the first.

    Raises:
        InputError: for a single string, or another number of texts.
        TypeError: for what is no sequence of strings.
    """
    second = checked_texts(pairs, "pairs")
    if len(second) != len(texts):
        raise InputError(
            f"Expected a second text for each of the {len(texts)} texts, got {len(second)}."
        )
    return second


def _short(value: Any) -> str:
    """The repr of a value in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
