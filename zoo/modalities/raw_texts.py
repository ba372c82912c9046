"""Validation of raw texts from callers: lists, arrays and columns of strings."""

from collections.abc import Iterable

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.printable import shortened_value


def checked_texts(texts: Iterable[str], name: str = "texts") -> list[str]:
    """Returns texts as a list of strings.

    Args:
        texts: list, array or column of strings.
        name: name of the argument, for messages.

    Raises:
        InputError: if the argument is a single string.
        TypeError: if the argument is not a sequence of strings.
    """
    if isinstance(texts, str):
        raise InputError(f"Expected a list of {name}, got one string; put it in a list.")
    if not isinstance(texts, Iterable) or isinstance(texts, bytes | dict):
        raise TypeError(
            f"Expected {name} to be a list of strings, got {name}={shortened_value(texts)}."
        )
    found = list(texts)
    for number, text in enumerate(found, start=1):
        if not isinstance(text, str):
            raise TypeError(
                f"Expected {name} to hold strings, got {shortened_value(text)} in place {number}."
            )
    return found


def checked_pairs(texts: list[str], pairs: Iterable[str]) -> list[str]:
    """Returns the second texts of pairs as a list, one for each first text.

    Raises:
        InputError: if the argument is a single string, or the numbers of texts differ.
        TypeError: if the argument is not a sequence of strings.
    """
    second = checked_texts(pairs, "pairs")
    if len(second) != len(texts):
        raise InputError(
            f"Expected a second text for each of the {len(texts)} texts, got {len(second)}."
        )
    return second
