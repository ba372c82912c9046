"""Masks of the largest weights, as the core of tensorflow-model-optimization makes them.

It is written for TensorFlow; this is for the other backends.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_transformer.zoo.distributed.devices import whole


class Masks:
    """Masks that become sparser on a schedule.

    Args:
        variables: the weights.
        sparsity: share of zeros at the end.
        block: shape of the blocks that become zero as a whole.
        m_of_n: numbers m of zeros among n consecutive inputs, from the first step on, in place of
            the sparsity; None for no such pattern.
        end_step: step at which the sparsity is reached.
        frequency: number of steps from one update to the next.
    """

    def __init__(
        self, variables: Sequence[keras.Variable], sparsity: float, block: tuple[int, int],
        m_of_n: tuple[int, int] | None, end_step: int, frequency: int,
    ):  # fmt: skip
        self._masked = [
            (variable, keras.Variable(np.ones(variable.shape, "float32"), trainable=False))
            for variable in variables
        ]
        self._sparsity, self._block, self._m_of_n = np.float32(sparsity), block, m_of_n
        self._end_step, self._frequency = end_step, frequency

    def take(self) -> None:
        """Sets the masks to the current zeros of the weights."""
        for variable, mask in self._masked:
            mask.assign(ops.cast(ops.not_equal(variable.value, 0), "float32"))

    def apply(self, step: int) -> None:
        """Follows the schedule at a step, and multiplies the weights by the masks."""
        if self._is_update(step):
            for variable, mask in self._masked:
                mask.assign(self._mask_of(np.abs(whole(variable.value)), step))
        for variable, mask in self._masked:
            # What a step gave away is no longer there: it is read anew each time.
            variable.assign(variable.value * mask.value)

    def _is_update(self, step: int) -> bool:
        if self._m_of_n is not None:
            return step == 1
        return step <= self._end_step and step % self._frequency == 0

    def _mask_of(self, sizes: np.ndarray, step: int) -> np.ndarray:
        if self._m_of_n is not None:
            return _largest_of_each(sizes, *self._m_of_n)
        # Zhu and Gupta 2017, equation 1.
        left = np.float32(1) - np.float32(min(1.0, step / self._end_step))
        kept = 1 - (self._sparsity - self._sparsity * left**3)
        if self._block == (1, 1):
            return _largest(sizes, kept)
        mask = _largest(_pooled(_pooled(sizes, self._block[0]).T, self._block[1]).T, kept)
        rows, columns = sizes.shape
        return np.kron(mask, np.ones(self._block, "float32"))[:rows, :columns]


def _largest(sizes: np.ndarray, share: np.ndarray) -> np.ndarray:
    """1 at a share of the values that are largest, and at all that equal the smallest of them."""
    count = max(int(np.round(np.float32(sizes.size) * share)), 1)
    smallest = np.partition(sizes.ravel(), sizes.size - count)[sizes.size - count]
    return (sizes >= smallest).astype("float32")


def _pooled(sizes: np.ndarray, length: int) -> np.ndarray:
    """Means over so many rows; what the last ones lack is half before the first, half after."""
    missing = -len(sizes) % length
    padding = ((missing // 2, missing - missing // 2), (0, 0))
    sums, counts = (
        np.pad(values, padding).reshape(-1, length, sizes.shape[1]).sum(axis=1)
        for values in (sizes, np.ones_like(sizes))
    )
    return sums / counts


def _largest_of_each(sizes: np.ndarray, zeros: int, group: int) -> np.ndarray:
    """0 at the smallest of each group of consecutive inputs (inputs, units), else 1."""
    inputs, units = sizes.shape
    groups = np.pad(sizes.T, ((0, 0), (0, -inputs % group))).reshape(units, -1, group)
    ranks = np.argsort(np.argsort(-groups, axis=-1, kind="stable"), axis=-1)
    return (ranks < group - zeros).astype("float32").reshape(units, -1)[:, :inputs].T
