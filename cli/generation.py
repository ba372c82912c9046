"""The options of commands that generate text: how the next token is chosen."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from keras_transformer.cli import options
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.decoding import Decoding

# Field of `Decoding` -> type and help; the option has the field's name with dashes.
FIELDS = {
    "max_tokens": (int, "New tokens at most."),
    "beams": (int, "Hypotheses that beam search keeps; 1 for the most probable token each time."),
    "length_penalty": (float, "Beam search divides log probability by length to this power."),
    "temperature": (float, "Sample from logits / temperature; 0 for the most probable token."),
    "top_k": (int, "Sample among this many most probable tokens; 0 for all."),
    "top_p": (float, "Sample among the tokens that hold this much probability."),
    "repetition_penalty": (float, "Above 1, tokens that occurred become less probable."),
    "no_repeat_ngram": (int, "No run of this many tokens occurs twice; 0 for no such rule."),
    "seed": (int, "The same seed gives the same sample."),
}


def decoding_options(command: Callable) -> Callable:
    """Adds an option for each field and the language; one that is not given arrives as None."""
    command = options.language()(command)
    for name, (kind, text) in reversed(FIELDS.items()):
        default = getattr(Decoding(), name)
        command = click.option(
            f"--{name.replace('_', '-')}", name, type=kind, help=f"{text}  [default: {default}]"
        )(command)
    return command


def decoding_of(predictor: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Takes the options that were given.

    Raises:
        InputError: one was given for a model that does not generate, or its value is impossible.
    """
    names = (*FIELDS, "language")
    given = {name: values[name] for name in names if values[name] is not None}
    if given and not predictor.generates:
        option = f"--{next(iter(given)).replace('_', '-')}"
        raise InputError(
            f"Expected {option} only for a model that generates text, "
            f"got one of {predictor.task_name}."
        )
    Decoding(**{name: value for name, value in given.items() if name in FIELDS})
    return given
