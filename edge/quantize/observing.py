"""What a model's layers are given or give, seen from outside for the length of a context."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from keras_transformer.quantization import Projection, QuantPoint


@contextmanager
def observed(
    layers: Sequence[Projection | QuantPoint], observer: Callable[[Any, Any], Any]
) -> Iterator[None]:
    """Sets the observer of layers, see `Projection` and `QuantPoint`."""
    for one in layers:
        one.observer = observer
    try:
        yield
    finally:
        for one in layers:
            one.observer = None
