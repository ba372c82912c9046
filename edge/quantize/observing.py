"""What a model's layers are given or give, seen from outside for the length of a context."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import keras

from keras_transformer.quantization import Projection, QuantPoint
from keras_transformer.zoo.data.batches import Batches


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


def observe(
    layers: Sequence[Projection | QuantPoint], observer: Callable[[Any, Any], Any],
    model: keras.Model, batches: Batches, most: int,
) -> None:  # fmt: skip
    """Runs a model on at most so many batches with the observer set on some of its layers."""
    with observed(layers, observer):
        for batch in islice(batches.epoch(0), most):
            model(batch.inputs, training=False)
