"""Chat templates in Jinja2, in the environment that `transformers` gives them."""

import functools
import importlib.util
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from keras_transformer.zoo.chat.messages import Message
from keras_transformer.zoo.errors import InputError

# File name of a template's code in tracebacks, which is Jinja2's.
_SOURCE = "<template>"


def has_jinja() -> bool:
    """Whether templates can be rendered here."""
    return importlib.util.find_spec("jinja2") is not None


def today(form: str) -> str:
    """Returns the present time in a form of `strftime`, which some templates write."""
    return datetime.now().strftime(form)


def render(
    template: str, messages: Sequence[Message], tokens: Mapping[str, str], *,
    answer: bool = True, now: Callable[[str], str] = today,
) -> str:  # fmt: skip
    """Returns a conversation's text.

    Args:
        template: Jinja2 template.
        messages: messages of the conversation.
        tokens: special tokens by their names in templates, such as `bos_token`.
        answer: whether the text ends where the model's answer begins.
        now: the present time in a form of `strftime`.

    Raises:
        InputError: if Jinja2 is not installed, or the template is broken or refuses the
            conversation.
    """
    if not has_jinja():
        raise InputError(
            "Expected jinja2 for the model's chat template, which is not installed; install "
            "keras-transformer-zoo[chat]."
        )
    from jinja2 import TemplateError, TemplateSyntaxError

    try:
        return _compiled(template).render(
            messages=[dict(message) for message in messages], tools=None, documents=None,
            add_generation_prompt=answer, strftime_now=now, **tokens,
        )  # fmt: skip
    except TemplateSyntaxError as error:
        raise InputError(_sentence("to be Jinja2", error.lineno, error)) from None
    except TemplateError as error:
        # What the template raises itself, and what it looks up in vain.
        raise InputError(_sentence("to take the messages", _line(error), error)) from None
    except RecursionError:
        raise InputError("Expected the chat template to end, got one that calls itself.") from None
    except Exception as error:  # a template's own code may raise anything
        raise InputError(_sentence("to take the messages", _line(error), error)) from error


def _sentence(expected: str, line: int | None, error: Exception) -> str:
    what = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    place = "" if line is None else f" in line {line}"
    return f"Expected the chat template {expected}, got an error{place}: {what}."


def _line(error: Exception) -> int | None:
    """The template's line that raised an error."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((one.lineno for one in reversed(frames) if one.filename == _SOURCE), None)


@functools.lru_cache(maxsize=8)
def _compiled(template: str) -> Any:
    from jinja2 import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """The block that marks an answer, which is rendered as what it holds."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
        # Jinja2's own writes for HTML.
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = refuse
    return environment.from_string(template)
