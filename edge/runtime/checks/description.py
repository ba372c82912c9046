"""Checks what a file says of itself: that each value is there, of its type and within bounds."""

from collections.abc import Callable, Mapping
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.outputs import OUTPUTS

_MOST_LENGTH = 1 << 20
_MOST_COUNT = 1 << 31


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < float("inf")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST_COUNT


def _is_length(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MOST_LENGTH


def _are_lengths(value: Any) -> bool:
    if not isinstance(value, list) or not value or not all(map(_is_length, value)):
        return False
    return value == sorted(set(value))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _by_name(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def _are_places(value: Any) -> bool:
    return _by_name(_by_name(_or_none(_is_count)))(value)


def _is_head(value: Any) -> bool:
    """Whether a value describes a head of a file of several."""
    if not isinstance(value, dict):
        return False
    task, columns = value.get("task"), value.get("columns")
    return (
        _is_object(task) and _is_text(task.get("name")) and _is_flag(task.get("pair"))
        and _is_text(task.get("modality", ""))
        and _are_texts(value.get("labels")) and _is_text(value.get("output_kind"))
        and value.get("output_kind") in OUTPUTS and _by_name(_or_none(_is_text))(columns)
        and _or_none(_is_number)(value.get("output_step"))
        and _are_places(value.get("layers")) and _is_object(value.get("metrics"))
    )  # fmt: skip


# What must be there, and what may be, by dotted name; older files have no more than the first.
_REQUIRED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "task": ("an object", _is_object),
    "model": ("an object", _is_object),
    "task.name": ("text", _is_text),
    "task.pair": ("true or false", _is_flag),
    "precision": ("text", _is_text),
    "max_length": (f"an integer from 1 to {_MOST_LENGTH}", _is_length),
    "model.architecture": ("text", _is_text),
    "model.vocab_size": ("an integer that is not negative", _is_count),
    "model.num_layers": (f"an integer from 1 to {_MOST_LENGTH}", _is_length),
}
_OPTIONAL: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "model.source_vocab_size": ("an integer that is not negative", _is_count),
    "model.modality_settings": ("an object", _is_object),
    "lengths": ("a list of ascending integers above 0", _are_lengths),
    "modality": ("text", _is_text),
    "output": ("text", _is_text),
    "output_kind": ("text", _is_text),
    "heads": ("an object of heads by name", lambda value: _by_name(_is_head)(value)),
    "output_temperature": ("a number above 0", lambda value: _is_number(value) and value > 0),
    "output_step": ("a number or null", _or_none(_is_number)),
    "custom_ops": ("a list of text", _are_texts),
    "keep": ("a list of text", _are_texts),
    "columns": ("an object of text or null", _by_name(_or_none(_is_text))),
    "target": ("text", _is_text),
    "bundle": ("text", _is_text),
    "recipe": ("text", _is_text),
    "arena_bytes": ("an integer that is not negative or null", _or_none(_is_count)),
    "layers": ("places by name and signature", _are_places),
    "read_alone": ("true or false", _is_flag),
    "about": ("an object of text", _by_name(_is_text)),
    "metrics": ("an object of numbers, text or null", _by_name(
        lambda value: value is None or _is_text(value) or _is_flag(value) or _is_number(value)
    )),
    "provenance": ("an object", _is_object),
    "provenance.weights_sha256": ("text", _is_text),
    "provenance.recipe": ("an object or null", _or_none(_is_object)),
}  # fmt: skip


def check_description(description: Mapping[str, Any], name: str) -> None:
    """Checks what `unpack` returned.

    Raises:
        InputError: naming the value that is missing, of another type or out of bounds.
    """
    for known, is_required in ((_REQUIRED, True), (_OPTIONAL, False)):
        for path, (wanted, fits) in known.items():
            found, is_there = _look_up(description, path)
            if not is_there and not is_required:
                continue
            if not is_there or not fits(found):
                got = f"{path}={found!r}" if is_there else "none"
                raise InputError(
                    f"{name} is damaged: expected its description to have {path}, {wanted}, got "
                    f"{got}."
                )
    lengths, longest = description.get("lengths"), description["max_length"]
    if lengths is not None and lengths[-1] != longest:
        raise InputError(
            f"{name} is damaged: expected the last of its lengths to be {longest}, got "
            f"{lengths[-1]}."
        )


def _look_up(value: Any, path: str) -> tuple[Any, bool]:
    """The value of a dotted name, and whether it is there."""
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return None, False
        value = value[part]
    return value, True
