"""Keras' backends, and the verbs that need one of some of them."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import keras

from keras_transformer.zoo.errors import InputError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_TENSORFLOW = ("tensorflow",)
# Verb -> the backends that it runs on. The other verbs run files, or whatever Keras predicts on.
BACKENDS = {
    "train": ("tensorflow", "jax", "torch"),
    "prune": ("tensorflow", "jax"),
    "distill": ("tensorflow", "jax"),
    "quantize": ("tensorflow", "jax"),
    "convert": _TENSORFLOW,
    "sensitivity": _TENSORFLOW,
    "search": _TENSORFLOW,
    "compare": ("tensorflow", "jax", "torch"),
    "compare --layers": _TENSORFLOW,
    "quickstart": _TENSORFLOW,
}


def needs_backend(verb: str) -> Callable[[Callable], Callable]:
    """Decorates the function of a verb, which checks the backend before anything else.

    The decorated function raises InputError on another backend than those of `BACKENDS`.
    """

    def add(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @functools.wraps(function)
        def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            check_backend(verb)
            return function(*args, **kwargs)

        return checked

    return add


def check_backend(verb: str) -> None:
    """Checks that a verb runs on Keras' backend.

    Raises:
        InputError: if it does not.
    """
    known, backend = BACKENDS[verb], keras.config.backend()
    if backend not in known:
        raise InputError(
            f"Expected Keras' backend to be {', '.join(known)} for {verb}, got {backend}; set "
            f"KERAS_BACKEND={known[0]}."
        )
