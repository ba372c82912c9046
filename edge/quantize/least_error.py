"""Ranges that round a sample of values with the least squared error."""

import dataclasses
from collections.abc import Callable

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

        def error(low, high):
            return np.inf if high - low < _SMALLEST else self.error(low, high, bits)

        return searched_bounds(*self.extremes(symmetric=symmetric), _SHARES, error, symmetric)

    def extremes(self, *, symmetric: bool) -> tuple[float, float]:
        """Returns the smallest and the largest value, or zero, which they have between them.

        If `symmetric`, both are as far from zero as the farther one.
        """
        low = min(float(self.values.min()), 0.0)
        high = max(float(self.values.max()), low + _SMALLEST, 0.0)
        if symmetric:
            high = max(high, -low)
            low = -high
        return low, high


def searched_bounds(
    low: float, high: float, shares: np.ndarray, cost: Callable[[float, float], float],
    symmetric: bool,
) -> tuple[float, float]:  # fmt: skip
    """Returns the bounds of the least cost, each one of the ascending shares of its extreme.

    Both have the same share if `symmetric`; else they are sought in turn, twice. Of equal ones the
    largest is taken.
    """

    def best(bounds):
        costs = [cost(*bounds(share)) for share in shares[::-1]]
        return float(shares[::-1][int(np.argmin(costs))])

    if symmetric:
        share = best(lambda share: (low * share, high * share))
        return low * share, high * share
    of_low = of_high = 1.0
    for _ in range(2):
        of_high = best(lambda share, kept=of_low: (low * kept, high * share))
        of_low = best(lambda share, kept=of_high: (low * share, high * kept))
    return low * of_low, high * of_high
