"""What a model's layers are given, seen from outside for the length of a context."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from keras_transformer.quantization import Projection


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
