"""LiteRT's interpreters, whose errors are one sentence: a file may be one that they cannot run."""

import contextlib
from collections.abc import Iterator
from typing import Any

from ai_edge_litert import interpreter as litert

from keras_transformer.zoo.errors import InputError

_MESSAGE_LENGTH = 300


@contextlib.contextmanager
def _in_a_sentence() -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:_MESSAGE_LENGTH].rstrip(".")
        raise InputError(
            f"LiteRT cannot run the file: {reason or type(error).__name__}."
        ) from error


class Signature:
    """A signature's runner; what it does not have itself is LiteRT's.

    Args:
        runner: that of LiteRT.
    """

    def __init__(self, runner: litert.SignatureRunner):
        self._runner = runner

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Returns the outputs by name.

        Raises:
            InputError: if LiteRT cannot run the graph, or not with these inputs.
        """
        with _in_a_sentence():
            return self._runner(**inputs)

    def __getattr__(self, name: str) -> Any:
        if name == "_runner":  # before it is there, in a copy
            raise AttributeError(name)
        return getattr(self._runner, name)


class _Sentences:
    """What the interpreters do with the graphs of a file."""

    def __init__(self, *args: Any, **kwargs: Any):
        with _in_a_sentence():
            super().__init__(*args, **kwargs)

    def allocate_tensors(self) -> None:
        with _in_a_sentence():
            super().allocate_tensors()

    def invoke(self) -> None:
        with _in_a_sentence():
            super().invoke()

    def get_signature_runner(self, signature_key: str | None = None) -> Signature:
        with _in_a_sentence():
            return Signature(super().get_signature_runner(signature_key))


class Interpreter(_Sentences, litert.Interpreter):
    """LiteRT's interpreter of its own ops."""


class InterpreterWithCustomOps(_Sentences, litert.InterpreterWithCustomOps):
    """LiteRT's interpreter of its own ops and of others."""
