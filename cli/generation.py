"""Decoding options of the commands that generate text."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from keras_transformer.cli import kinds, options
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.decoding import Decoding

# Field of `Decoding` -> type and help; the option has the field's name with dashes.
FIELDS = {
    "max_tokens": (int, "Largest number of new tokens."),
    "beams": (int, "Beams of beam search; 1 for greedy decoding."),
    "length_penalty": (float, "Power of the length by which beam search divides log probability."),
    "temperature": (float, "Sampling temperature, the divisor of the logits; 0 for no sampling."),
    "top_k": (int, "Sample from this many most probable tokens; 0 for all."),
    "top_p": (float, "Sample from the most probable tokens with this much probability in total."),
    "repetition_penalty": (float, "Penalty of tokens that occurred; above 1, less probable."),
    "no_repeat_ngram": (int, "Length of token n-grams that may not be repeated; 0 for no limit."),
    "seed": (int, "Seed of sampling; the same seed gives the same sample."),
}


def decoding_options(command: Callable) -> Callable:
    """Adds an option for each field and the language; one that is not given is None."""
    command = options.language()(command)
    for name, (kind, text) in reversed(FIELDS.items()):
        default = getattr(Decoding(), name)
        command = click.option(
            f"--{name.replace('_', '-')}", name, type=kinds.of_kind(kind),
            help=f"{text}  [default: {default}]",
        )(command)  # fmt: skip
    return command


def decoding_of(predictor: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that were given.

    Raises:
        InputError: if one was given for a model that does not generate, or its value is invalid.
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
