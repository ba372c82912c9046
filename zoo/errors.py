"""Exceptions of the zoo: mistakes in the input, and failed runs."""

import contextlib
from collections.abc import Iterator

from keras_transformer.zoo.printable import shortened, without_passwords


def no_file(path: object) -> FileNotFoundError:
    """Returns the error of a file that is missing."""
    shown = without_passwords(str(path), is_path=True) or repr(path)
    return FileNotFoundError(f"There is no file {shown}.")


class InputError(ValueError):
    """A mistake in the user's data, options or files (exit code 2 of a command).

    Args:
        sentence: the sentence, whose long values are shortened and passwords hidden.
    """

    def __init__(self, sentence: str):
        super().__init__(shortened(sentence))


class RunError(RuntimeError):
    """A failure of a run whose input was valid (exit code 1 of a command).

    Args:
        sentence: see `InputError`.
    """

    def __init__(self, sentence: str):
        super().__init__(shortened(sentence))


class LostError(RunError):
    """Another process of a run is gone; the run goes on once all are started again."""


@contextlib.contextmanager
def placed(place: str) -> Iterator[None]:
    """Adds the location of a value, such as its file and line, to what an InputError says of it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


@contextlib.contextmanager
def of_others(what: str) -> Iterator[None]:
    """Makes an InputError of whatever goes wrong in a file that others published.

    It may have any form, so that a key may be missing and a value of any type.

    Args:
        what: what was expected, and where.
    """
    try:
        yield
    except InputError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"Expected {what}, got an error: {type(error).__name__}: {error}."
        ) from error
