"""Passes of a file of several tasks, whose outputs all its heads read."""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_transformer.edge.runtime.engines import Engines
from keras_transformer.edge.runtime.names import LOGITS, PREDICT


class Passes:
    """Runs the heads of a file; while they are kept, one pass serves all heads of a row.

    Args:
        engines: of the file, see `PredictGraph`.
    """

    def __init__(self, engines: Engines[Any]):
        self._engines = engines
        # Threads that predict at once keep passes of their own.
        self._kept = threading.local()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keeps the outputs of all heads for each row that is run."""
        if getattr(self._kept, "passes", None) is not None:
            yield
            return
        self._kept.passes = {}
        try:
            yield
        finally:
            self._kept.passes = None

    def output(
        self, head: str, length: int, inputs: dict[str, np.ndarray], zeros: Iterable[str]
    ) -> np.ndarray:
        """Returns the output of a head for inputs of a length.

        Args:
            head: its name.
            length: of the inputs.
            inputs: that the head reads, by name.
            zeros: names of the inputs that are 0 where all heads run, as it reads them not.
        """
        passes, claim = getattr(self._kept, "passes", None), self._engines.claim()
        if passes is None:
            return claim.engine(length, inputs, head)[LOGITS]
        key = (length, *((name, array.tobytes()) for name, array in sorted(inputs.items())))
        if key not in passes:
            first = next(iter(inputs.values()))
            beside = {name: np.zeros_like(first) for name in zeros}
            passes[key] = claim.engine(length, {**inputs, **beside}, PREDICT)
        return passes[key][head]
