"""Ranges that keep the distribution of a tensor's values (Migacz 2017)."""

import dataclasses

import numpy as np

from keras_transformer.edge.quantize.least_error import Sample, searched_bounds

# S. Migacz, "8-bit Inference with TensorRT", GPU Technology Conference 2017, slide 38.
_BINS = 2048
# Values that are drawn of each batch, besides the extremes.
DRAWN = 2**14
# Bounds are searched among these shares of the extremes. The smallest leave a bin of the histogram
# to each value of 8 bits, as TensorRT's do.
_SHARES = np.linspace(0.125, 1.0, 57)
# Share of the values that a bin has at least, where the rounded values are compared: the
# divergence from a bin with none is infinite.
_LEAST = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Histogram:
    """Numbers of values in bins of equal width, or the weights that they have together.

    Attributes:
        counts: float64 (N,).
        low, high: edges of the first and the last bin; zero is between them.
    """

    counts: np.ndarray
    low: float
    high: float

    @classmethod
    def of(cls, sample: Sample, *, symmetric: bool) -> "Histogram":
        """Returns the histogram of a sample between its extremes and zero.

        Args:
            sample: the values.
            symmetric: whether both edges are as far from zero as the farther extreme.
        """
        low, high = sample.extremes(symmetric=symmetric)
        counts, _ = np.histogram(sample.values, _BINS, (low, high), weights=sample.weights)
        return cls(counts=counts.astype(np.float64), low=low, high=high)

    def divergence(self, low: float, high: float, bits: int) -> float:
        """Returns the Kullback-Leibler divergence of the rounded values from the clipped ones.

        The values of the bins that round to one value of the grid are spread evenly over those of
        them that are not empty. Values beyond the bounds are in the outermost bins of the clipped
        ones only, so that clipping costs something.

        Args:
            low, high: bounds of the grid of `2**bits` values, with zero between them.
            bits: width of the stored integers.
        """
        width = (self.high - self.low) / len(self.counts)
        first = round((low - self.low) / width)
        last = max(round((high - self.low) / width), first + 1)
        inside = self.counts[first:last]
        clipped = inside.copy()
        clipped[0] += self.counts[:first].sum()
        clipped[-1] += self.counts[last:].sum()
        step = (high - low) / (2**bits - 1)
        centres = self.low + (np.arange(first, last) + 0.5) * width
        places = np.clip(np.rint((centres - low) / step), 0, 2**bits - 1).astype(int)
        is_full = inside > 0
        sums = np.bincount(places, inside, 2**bits)
        full = np.bincount(places, is_full, 2**bits)
        rounded = np.where(is_full, (sums / np.maximum(full, 1.0))[places], 0.0)
        exact = clipped / clipped.sum()
        rounded = np.maximum(rounded / max(rounded.sum(), 1.0), _LEAST)
        some = exact > 0
        return float(exact[some] @ np.log(exact[some] / rounded[some]))


def entropy_bounds(sample: Sample, bits: int, *, symmetric: bool) -> tuple[float, float]:
    """Returns the bounds with the least divergence, which contain zero.

    Migacz seeks one threshold, of absolute values. Where the range is not symmetric, both bounds
    are sought in turn, twice, each among the same shares of its extreme value.

    Args:
        sample: the values, of which many are needed: `Sample.of` draws `DRAWN` of a batch.
        bits: width of the stored integers, at most 8: of finer grids each bin of the histogram
            would be rounded by itself, with no divergence whatever the bounds.
        symmetric: whether the bounds are equally far from zero.
    """
    found = Histogram.of(sample, symmetric=symmetric)

    def divergence(low, high):
        return found.divergence(low, high, bits)

    return searched_bounds(found.low, found.high, _SHARES, divergence, symmetric)
