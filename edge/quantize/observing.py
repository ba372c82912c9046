"""What a model's layers are given, seen from outside for the length of a context."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from keras_transformer.quantization import Projection, QuantPoint


@contextmanager
def observed(
    projections: Sequence[Projection], observer: Callable[[Projection, Any], None]
) -> Iterator[None]:
    """Calls `observer(projection, inputs)` before each of the projections is computed."""
    for one in projections:
        one.observer = observer
    try:
        yield
    finally:
        for one in projections:
            one.observer = None


@contextmanager
def unrounded(points: Sequence[QuantPoint]) -> Iterator[None]:
    """Makes points the identity."""
    before = [one.tracker for one in points]
    for one in points:
        one.tracker = _identity
    try:
        yield
    finally:
        for one, tracker in zip(points, before, strict=True):
            one.tracker = tracker


def _identity(_point, inputs, _training):
    return inputs
