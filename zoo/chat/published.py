"""Chats of published models: their templates, and the tokens that end an answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_transformer.zoo.chat.chat import TEMPLATE_FILE, Chat
from keras_transformer.zoo.errors import InputError

_SETTINGS, _GENERATION = "tokenizer_config.json", "generation_config.json"
# Of several templates, the one of plain conversations.
_DEFAULT = "default"


def read_chat(folder: Path, read_json: Callable[[Path], dict[str, Any]]) -> Chat | None:
    """Returns the chat of a published model in a folder, None where it has no template.

    Args:
        folder: folder of the model.
        read_json: reads the object in a JSON file, empty if there is no such file.

    Raises:
        InputError: if the template is no text.
    """
    settings, tokenizer = read_json(folder / _SETTINGS), read_json(folder / "tokenizer.json")
    template = _template(folder, settings.get("chat_template"))
    if template is None:
        return None
    added = tokenizer.get("added_tokens") or []
    contents = {one["id"]: one["content"] for one in added}
    ends = read_json(folder / _GENERATION).get("eos_token_id")
    ends = [ends] if isinstance(ends, int) else ends or []
    return Chat(
        template=template,
        tokens=_named({**read_json(folder / "special_tokens_map.json"), **settings}),
        ends=tuple(contents[i] for i in ends if i in contents),
        left=tuple(one["content"] for one in added if one.get("lstrip")),
        right=tuple(one["content"] for one in added if one.get("rstrip")),
        spaced=not _is_spaced_first(tokenizer.get("pre_tokenizer")),
    ).derived()


def _template(folder: Path, value: Any) -> str | None:
    path = folder / TEMPLATE_FILE
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"Expected {path} to be text in UTF-8, got {error.reason}.") from None
    if isinstance(value, list):
        value = {one.get("name"): one.get("template") for one in value}.get(_DEFAULT)
    if value is not None and not isinstance(value, str):
        raise InputError(
            f"Expected chat_template of {folder / _SETTINGS} to be text, got {value!r}."
        )
    return value


def _named(values: dict[str, Any]) -> dict[str, str]:
    """Special tokens by the names that templates have for them."""
    found = {}
    for key, value in values.items():
        value = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(value, str):
            found[key] = value
    return found


def _is_spaced_first(value: Any) -> bool:
    """Whether a pre-tokenizer puts a space before the beginning of a text alone."""
    parts = (value or {}).get("pretokenizers") or [value or {}]
    return any(
        one.get("type") == "Metaspace" and one.get("prepend_scheme") == "first" for one in parts
    )
