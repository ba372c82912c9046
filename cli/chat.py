"""Questions of `run --chat`: each a conversation of its own, behind a predictor's interface."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from keras_transformer.cli import kinds
from keras_transformer.zoo.errors import InputError


class Questions:
    """A predictor whose texts are questions to a model of conversations.

    Args:
        predictor: the model.
        system: message of the system before each question; None for none.
    """

    # A question is not printed before its answer.
    reads_sources = True

    def __init__(self, predictor: Any, system: str | None):
        self._predictor = predictor
        self._system = system

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def generations(self, texts: Sequence[str], **options: Any) -> list[Any]:
        """Returns the answer to each question."""
        before = [] if self._system is None else [{"role": "system", "content": self._system}]
        conversations = [[*before, {"role": "user", "content": text}] for text in texts]
        return self._predictor.answers(conversations, **options)


def chat_options(command: Callable) -> Callable:
    """Adds `--chat` and `--system`."""
    command = click.option(
        "--system", type=kinds.TEXT, metavar="TEXT",
        help="Message of the system before each question, with --chat.",
    )(command)  # fmt: skip
    return click.option(
        "--chat", is_flag=True,
        help="Take each TEXT as a question to a model of conversations, in its chat template.",
    )(command)


def asked(predictor: Any, given: Mapping[str, Any]) -> Any:
    """Returns the predictor, which takes questions with `--chat`.

    Raises:
        InputError: for an option that is only of use with `--chat`, or of none with it, and for a
            model that writes no text.
    """
    system = given["system"]
    if not given["chat"]:
        if system is not None:
            raise InputError(f"Expected --system only with --chat, got {system!r}.")
        return predictor
    if not predictor.generates:
        raise InputError(
            f"Expected --chat only for a model of conversations, got one of {predictor.task_name}."
        )
    if given["language"] is not None:
        raise InputError(f"Expected no --language with --chat, got {given['language']!r}.")
    return Questions(predictor, system)
