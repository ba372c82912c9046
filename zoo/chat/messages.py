"""Messages of a conversation, checked."""

from collections.abc import Iterable, Mapping
from typing import Any

from keras_transformer.zoo.errors import InputError

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
Message = Mapping[str, str]


def checked_messages(messages: Iterable[Any]) -> list[dict[str, str]]:
    """Returns messages as objects of a role and a content.

    Raises:
        InputError: if there is none, or the last one is not the user's.
        TypeError: for what is no sequence of objects of texts.
    """
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable):
        raise TypeError(f"Expected a list of messages, got {type(messages).__name__} {messages!r}.")
    found = []
    for number, message in enumerate(messages, start=1):
        values = message if isinstance(message, Mapping) else {}
        if sorted(values) != ["content", "role"] or not all(
            isinstance(value, str) for value in values.values()
        ):
            raise TypeError(
                f"Expected message {number} to be an object of the texts role and content, got "
                f"{message!r}."
            )
        found.append(dict(message))
    if not found:
        raise InputError("Expected at least one message, got none.")
    if found[-1]["role"] != USER:
        raise InputError(f"Expected the user's message last, got one of {found[-1]['role']!r}.")
    return found
