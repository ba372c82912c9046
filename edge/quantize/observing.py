"""What a model's layers are given or give, seen from outside for the length of a context."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import Any

import keras

from keras_transformer.quantization import KernelLayer, QuantPoint
from keras_transformer.rounding import SharedRows
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.models.build import all_layers


class Enough(BaseException):  # noqa: N818 - no error, which Keras would wrap
    """Raised by an observer that needs nothing further of a batch."""


@contextmanager
def observed(
    layers: Sequence[KernelLayer | QuantPoint], observer: Callable[[Any, Any], Any]
) -> Iterator[None]:
    """Sets the observer of layers, see `KernelLayer` and `QuantPoint`."""
    for one in layers:
        one.observer = observer
    try:
        yield
    finally:
        for one in layers:
            one.observer = None


@contextmanager
def rounded_once(model: keras.Model) -> Iterator[None]:
    """Rounds each kernel once for all eager calls in the context, and each tensor read once."""
    rows = SharedRows()
    with ExitStack() as stack:
        for layer in all_layers(model):
            if isinstance(layer, KernelLayer):
                stack.enter_context(layer.rounded_once(rows))
        yield


def observe(
    layers: Sequence[KernelLayer | QuantPoint], observer: Callable[[Any, Any], Any],
    model: keras.Model, batches: Batches, most: int,
) -> None:  # fmt: skip
    """Runs a model on at most so many batches with the observer set on some of its layers.

    Where the observer raises `Enough`, the run of a batch ends.
    """
    with observed(layers, observer), rounded_once(model):
        for batch in islice(batches.epoch(0), most):
            with suppress(Enough):
                model(batch.inputs, training=False)
