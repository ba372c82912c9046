"""The speed of a run, and a trace of some of its steps."""

import functools
import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from keras_transformer.zoo.data.batches import Batch
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.counts import multiply_adds
from keras_transformer.zoo.training.watched.trace import begin_trace, end_trace

TOKENS = ("ids", "source_ids")
# Steps in a trace, the first ones: what they compile was compiled before.
TRACED = 8


class Watch:
    """Watches the steps of a run.

    The share of the peak is that of the model's own operations (MFU; Chowdhery et al. 2022,
    arXiv:2204.02311, appendix B): three times a forward pass over the padded batch, whatever a
    step computes twice.

    Args:
        peak: operations a second that the devices can do together; None for no share of it.
        profile: folder of a trace of the first steps; None for none.

    Raises:
        InputError: if the peak is not above 0.

    Attributes:
        speed: number of examples and tokens a second of the run so far, padding left out, and
            the share of the peak (`mfu`), by name; waiting for data counts, validation does not.
    """

    def __init__(self, *, peak: float | None = None, profile: str | Path | None = None):
        if peak is not None and not 0 < peak < math.inf:
            raise InputError(f"Expected peak to be above 0 and finite, got peak={peak}.")
        self.peak, self._profile = peak, profile
        self._steps, self._tracing = 0, False
        self._began = self._seconds = 0.0
        self._examples = self._tokens = self._operations = 0
        self.speed: dict[str, float] = {}

    def begin(self, model: keras.Model) -> None:
        """The steps of an epoch begin."""
        self._adds = functools.cache(functools.partial(multiply_adds, model))
        self._began = time.perf_counter()

    def step(self, batch: Batch) -> None:
        """A step is given to the device, which may not have done it."""
        if self._profile is not None and not self._steps:
            self._untimed(functools.partial(begin_trace, self._profile))
            self._tracing = True
        self._steps += 1
        ids = [batch.inputs[name] for name in TOKENS if name in batch.inputs]
        self._examples += len(batch.index)
        self._tokens += sum(int(np.count_nonzero(one)) for one in ids)
        if self.peak:
            length = max((one.shape[1] for one in ids), default=1)
            self._operations += 6 * len(batch.index) * self._adds(length)

    def counted(self) -> None:
        """The loss of a step is read: it is done, and all before it."""
        if self._tracing and self._steps >= TRACED:
            self._end_trace()

    def end(self) -> dict[str, float]:
        """All steps of an epoch are done; returns its speed."""
        if self._tracing:
            self._end_trace()
        self._seconds += time.perf_counter() - self._began
        if self._seconds and self._examples:
            self.speed = {"examples_per_second": self._examples / self._seconds}
            if self._tokens:
                self.speed["tokens_per_second"] = self._tokens / self._seconds
            if self.peak:
                self.speed["mfu"] = self._operations / self._seconds / self.peak
        return self.speed

    def _end_trace(self) -> None:
        self._tracing = False
        self._untimed(end_trace)

    def _untimed(self, function: Callable[[], None]) -> None:
        start = time.perf_counter()
        function()
        self._began += time.perf_counter() - start
