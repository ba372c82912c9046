"""When a label is reported: smoothed probabilities, a threshold and a refractory time."""

from collections.abc import Sequence

import numpy as np


class Detector:
    """Decides after each window whether a label is detected.

    The probabilities of the last windows are averaged; those before the first count as 0. The label
    of the highest mean is detected if it reaches the threshold, and no other is for the refractory
    time that follows. Means are taken of posteriors as Chen, Parada and Heigold do (2014, "Small-
    footprint keyword spotting using deep neural networks", section 2.3).

    Args:
        labels: number of labels.
        windows: number of windows that are averaged.
        threshold: mean probability from which on a label is detected.
        refractory: samples after a detection in which there is none.
        ignored: places of labels that are never detected, such as silence.
    """

    def __init__(
        self, labels: int, *, windows: int, threshold: float, refractory: int,
        ignored: Sequence[int] = (),
    ):  # fmt: skip
        self._recent = np.zeros((windows, labels), np.float32)
        self._threshold = np.float32(threshold)
        self._refractory, self._ignored = refractory, list(ignored)
        self._seen, self._ready = 0, 0

    def observe(self, probabilities: np.ndarray, end: int) -> tuple[int, float] | None:
        """Returns the place of the label that is detected and its mean probability, or None.

        Args:
            probabilities: (labels,) of a window.
            end: place of the window's end in the stream, in samples.
        """
        self._recent[self._seen % len(self._recent)] = probabilities
        self._seen += 1
        means = self._recent.sum(axis=0) / np.float32(len(self._recent))
        means[self._ignored] = -1
        best = int(means.argmax())
        if end < self._ready or means[best] < self._threshold:
            return None
        self._ready = end + self._refractory
        return best, float(means[best])
