"""Metrics of masked and of replaced pieces, summed block by block; NumPy only."""

from typing import Any

import numpy as np

from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.generation.next_token import log_normalizer
from keras_transformer.zoo.generation.scoring import summary
from keras_transformer.zoo.logits import finite


class MaskScores:
    """Loss (nats a piece), perplexity and accuracy of pieces that were masked."""

    def __init__(self):
        self._nats, self._hits, self._count = 0.0, 0, 0

    def add(self, outputs: np.ndarray, targets: np.ndarray) -> None:
        """Adds a block: logits (T, V), and the pieces (T,), `NO_TARGET` where none was masked."""
        is_real = targets != NO_TARGET
        logits, pieces = finite(outputs[is_real], of="pieces"), targets[is_real]
        own = np.take_along_axis(logits, pieces[:, None], axis=1)[:, 0]
        self._nats += float((log_normalizer(logits) - own).sum(dtype="float64"))
        self._hits += int((logits.argmax(axis=1) == pieces).sum())
        self._count += len(pieces)

    def metrics(self) -> dict[str, Any]:
        """Returns the metrics of all blocks."""
        return summary(self._nats, self._hits, self._count)


class ReplacementScores:
    """Loss (nats a piece), accuracy, precision, recall and F1 of replaced pieces."""

    def __init__(self):
        self._nats = 0.0
        self._counts = np.zeros((2, 2), np.int64)

    def add(self, outputs: np.ndarray, targets: np.ndarray) -> None:
        """Adds a block: logits (T, 1), and targets (T,) as those of `Masking.replaced`."""
        is_real = targets != NO_TARGET
        logits, is_other = finite(outputs[is_real, 0], of="pieces"), targets[is_real] > 0
        self._nats += float(
            np.logaddexp(0.0, np.where(is_other, -logits, logits).astype("float64")).sum()
        )
        np.add.at(self._counts, (is_other.astype(int), (logits > 0).astype(int)), 1)

    def metrics(self) -> dict[str, Any]:
        """Returns the metrics of all blocks."""
        (kept, wrong), (missed, found) = self._counts.tolist()
        total = kept + wrong + missed + found
        return {
            "loss": self._nats / total, "accuracy": (kept + found) / total,
            "precision": found / max(1, found + wrong), "recall": found / max(1, found + missed),
            "f1": 2 * found / max(1, 2 * found + wrong + missed),
        }  # fmt: skip
