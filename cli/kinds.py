"""Kinds of values that options of several commands take."""

import os
from pathlib import Path
from typing import Any

import click

from keras_transformer.zoo.columns.addresses import is_remote, public
from keras_transformer.zoo.columns.remote import check_readable
from keras_transformer.zoo.columns.several_files import files_of, is_pattern
from keras_transformer.zoo.errors import InputError, no_file
from keras_transformer.zoo.numerals import read_number


class Text(click.ParamType):
    """A text, which is UTF-8 whatever the locale."""

    name = "text"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        # Python passes bytes that the locale's encoding lacks as lone surrogates.
        if not any("\ud800" <= character <= "\udfff" for character in value):
            return value
        try:
            return os.fsencode(value).decode()
        except UnicodeError:
            raise InputError(f"Expected texts in UTF-8, got {ascii(value)}.") from None


_NOT_FINITE = ("nan", "inf", "infinity")


class _PlainDigits:
    """Numbers in the notation of `numerals`: neither `1_0` nor digits of other scripts."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        # What is not finite is refused by what the option is for, with its bounds.
        is_plain = not isinstance(value, str) or value.lower().lstrip("+-") in _NOT_FINITE
        if not is_plain and read_number(value) is None:
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        return super().convert(value, param, ctx)


class Integer(_PlainDigits, type(click.INT)):
    """An integer."""


class Number(_PlainDigits, type(click.FLOAT)):
    """A number."""


class IntegerRange(_PlainDigits, click.IntRange):
    """An integer within bounds."""


TEXT, INTEGER, NUMBER = Text(), Integer(), Number()


class ExistingFile(click.Path):
    """A readable file: a table of examples, a `.tflite` file.

    Args:
        path_type: type of its path.
    """

    def __init__(self, path_type: type = Path):
        super().__init__(exists=True, dir_okay=False, readable=True, path_type=path_type)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not os.path.lexists(value):
            self.fail(str(no_file(value)), param, ctx)
        return super().convert(value, param, ctx)


class ExistingData(ExistingFile):
    """A file of data, a pattern of several, or a folder with a folder of files for each class.

    Args:
        path_type: type of its path.
        remote: whether it may be an address, of which secrets are not shown.
    """

    def __init__(self, path_type: type = Path, *, remote: bool = False):
        super().__init__(path_type)
        self.dir_okay, self.remote = True, remote

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if is_remote(value) and not self.remote:
            self.fail(f"Expected a file of this machine, got {public(value)}.", param, ctx)
        if is_remote(value):
            check_readable(value)
            return public(value)
        if is_pattern(value):
            files_of(value)
            return self.type(value)
        return super().convert(value, param, ctx)


class FileOrShare(click.ParamType):
    """The path of a data file, or a share of the training data to use instead.

    Args:
        path_type: type of the path.
    """

    name = "file or share"

    def __init__(self, path_type: type = Path):
        self._data = ExistingData(path_type, remote=True)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        share = read_number(value)
        return self._data.convert(value, param, ctx) if share is None else share


class TokensOrAuto(Integer):
    """A number of tokens, or `auto`."""

    name = "integer or auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value if value == "auto" else super().convert(value, param, ctx)


class LogFile(click.Path):
    """The path of a log, whose suffix says how it is written."""

    def __init__(self):
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        path = super().convert(value, param, ctx)
        if path.suffix not in (".csv", ".jsonl"):
            self.fail(f"Expected a name that ends with .csv or .jsonl, got {value!r}.", param, ctx)
        return path


EXISTING_FILE, EXISTING_DATA = ExistingFile(), ExistingData()
REMOTE_DATA = ExistingData(remote=True)


def of_kind(kind: Any) -> Any:
    """Returns the type of an option for values of a Python type."""
    return {int: INTEGER, float: NUMBER}.get(kind, kind)
