"""The objects of JSON Lines as columns of texts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_transformer.zoo.errors import InputError


class Objects(NamedTuple):
    """The objects of lines; see `Table` for what each holds."""

    columns: dict[str, list]
    lines: list[int]
    problems: dict[str, str]
    lists: dict[str, str]


def columns_of_objects(path: Path, text: str, first: int) -> Objects:
    """Returns the columns of all keys; what is wrong with one is said when it is asked for.

    Args:
        path: file, for messages.
        text: lines of the file.
        first: number of the first of them.

    Raises:
        InputError: if a line that is not blank is no object.
    """
    lines: list[int] = []
    columns: dict[str, list] = {}
    problems: dict[str, str] = {}
    lists: dict[str, str] = {}
    for line, source in enumerate(text.split("\n"), start=first):
        if not source.strip():
            continue
        seen = set()
        for key, value in _json_pairs(path, line, source):
            if key not in columns:
                columns[key] = []
                if lines:
                    problems[key] = (
                        f"{path}, line {lines[0]}: expected the key {key!r}, which line {line} has."
                    )
            text, kind = _json_text(value)
            if key in seen:
                problems.setdefault(
                    key, f"{path}, line {line}: the column {key!r} is there twice."
                )
            elif kind is not None:
                wrong = wrong_value(f"{path}, line {line}", key, kind)
                (lists if isinstance(text, list) else problems).setdefault(key, wrong)
            seen.add(key)
            columns[key].append(text)
        for key in columns.keys() - seen:
            problems.setdefault(
                key, f"{path}, line {line}: expected the key {key!r} as in other lines, got "
                f"{', '.join(map(repr, sorted(seen)))}.",
            )  # fmt: skip
        lines.append(line)
    return Objects(columns, lines, problems, lists)


def wrong_value(place: str, key: str, kind: str) -> str:
    """Returns the error of a value that is no text, of a kind such as `null`."""
    return (
        f"{place}: expected {key!r} to be a string, a number, true or false, got {kind}."
    )


def list_of(
    values: Sequence[tuple[Any, str | None]],
) -> tuple[str | list[Any], str]:
    """Returns a list of values as texts, and what it is: `a list`, or one of what is no text.

    Args:
        values: each value as text, and what it is if not that.
    """
    wrong = [kind for _, kind in values if kind is not None]
    return ("", f"a list of {wrong[0]}") if wrong else ([text for text, _ in values], "a list")


def _json_pairs(path: Path, line: int, source: str) -> list[tuple[str, object]]:
    try:
        value = json.loads(
            source, object_pairs_hook=tuple, parse_int=str, parse_float=str,
            parse_constant=_NoNumber,
        )  # fmt: skip
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}, line {line}: bad JSON ({error}).") from None
    if not isinstance(value, tuple) or not value:
        raise InputError(f"{path}, line {line}: expected a JSON object with at least one key.")
    return list(value)


class _NoNumber(str):
    """`NaN`, `Infinity` or `-Infinity`, which Python's JSON has and JSON has not."""


def _json_text(value: object) -> tuple[str | list[str], str | None]:
    """A value as text or a list of texts, and what it is if not one text."""
    if isinstance(value, list):
        return list_of([_json_text(one) for one in value])
    if isinstance(value, bool):
        return ("true" if value else "false"), None
    if isinstance(value, str) and not isinstance(value, _NoNumber):
        return value, None
    kind = {tuple: "an object", _NoNumber: str(value)}.get(type(value), "null")
    return "", kind
