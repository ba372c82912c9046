"""Ranges that round a sample of values with the least squared error."""

import dataclasses

import numpy as np

# Values of one batch that are kept: all at either end, where a few decide, and some of the rest.
_AT_EACH_END, _OF_THE_REST = 32, 448
# Bounds are searched among these shares of the extremes.
_SHARES = np.linspace(0.2, 1.0, 41)
_SMALLEST = 1e-6


def on_grid(values: np.ndarray, low: float, high: float, bits: int) -> np.ndarray:
    """Rounds values to the grid of `2**bits` values between two bounds, which contain zero."""
    step = (high - low) / (2**bits - 1)
    zero = np.round(-low / step)
    return (np.clip(np.round(values / step) + zero, 0, 2**bits - 1) - zero) * step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Values of a tensor, and the number of values that each stands for.

    Attributes:
        values, weights: float32 (N,).
    """

    values: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(
        cls, values: np.ndarray, rng: np.random.Generator, drawn: int = _OF_THE_REST
    ) -> "Sample":  # fmt: skip
        """Draws a sample of values of any shape, the extremes included.

        Args:
            values: the values.
            rng: the generator that draws.
            drawn: number of values besides the extremes.
        """
        values = values.reshape(-1).astype(np.float32, copy=False)
        weights = np.ones(values.size, np.float32)
        if values.size > 2 * _AT_EACH_END + drawn:
            last = values.size - _AT_EACH_END
            ordered = np.partition(values, (_AT_EACH_END, last - 1))
            rest = ordered[_AT_EACH_END:last]
            some = rest[rng.integers(0, rest.size, drawn)]
            values = np.concatenate([ordered[:_AT_EACH_END], some, ordered[last:]])
            weights = np.ones(values.size, np.float32)
            weights[_AT_EACH_END:-_AT_EACH_END] = rest.size / drawn
        return cls(values=values, weights=weights)

    @classmethod
    def joined(cls, samples: list["Sample"]) -> "Sample":
        """Returns one sample of several."""
        return cls(
            values=np.concatenate([one.values for one in samples]),
            weights=np.concatenate([one.weights for one in samples]),
        )

    def error(self, low: float, high: float, bits: int) -> float:
        """Returns the sum of squared errors on the grid of `2**bits` values between two bounds."""
        return float(self.weights @ np.square(on_grid(self.values, low, high, bits) - self.values))

    def bounds(self, bits: int, *, symmetric: bool) -> tuple[float, float]:
        """Returns the bounds with the least squared error, which contain zero.

        Both are sought in turn, twice, each among the same shares of its extreme value (Nagel et
        al. 2021, arXiv:2106.08295, section 3.1, names the criterion).
        """
        low = min(float(self.values.min()), 0.0)
        high = max(float(self.values.max()), low + _SMALLEST, 0.0)
        if symmetric:
            high = max(high, -low)
            share = self._best(lambda share: (-high * share, high * share), bits)
            return -high * share, high * share
        of_low = of_high = 1.0
        for _ in range(2):
            of_high = self._best(lambda share, kept=of_low: (low * kept, high * share), bits)
            of_low = self._best(lambda share, kept=of_high: (low * share, high * kept), bits)
        return low * of_low, high * of_high

    def _best(self, bounds, bits):
        """The share whose bounds have the least error; of equal ones the largest."""
        errors = [
            np.inf if bounds(share)[1] - bounds(share)[0] < _SMALLEST
            else self.error(*bounds(share), bits)
            for share in _SHARES[::-1]
        ]  # fmt: skip
        return float(_SHARES[::-1][int(np.argmin(errors))])
