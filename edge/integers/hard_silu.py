"""NumPy reference of LiteRT's HARD_SWISH of int8 (kernels/internal/reference/hard_swish.h).

XNNPACK leaves the op to LiteRT, whose kernel is TensorFlow Lite Micro's too, of 16-bit fixed point.
"""

import math

import numpy as np

from keras_transformer.edge.integers.kernels import ALL, HIGHEST, LOWEST, F, Grid

_LEAST, _MOST = -(1 << 15), (1 << 15) - 1
# The scale in which -3 is the least of 16 bits, and 3 the most.
_BOUND_SCALE = F(3.0) / F(32768.0)


def relu6(x: np.ndarray) -> np.ndarray:
    """Floats (any shape) between 0 and 6."""
    return np.clip(x, F(0.0), F(6.0))


def is_hard_silu(values: np.ndarray, x: np.ndarray) -> bool:
    """Whether values (n,) are `x * relu6(x + 3) / 6` of x (n,), in float32."""
    return np.allclose(values, x * relu6(x + F(3.0)) * F(1.0 / 6.0), rtol=1e-6, atol=1e-7)


def hard_silu(x: np.ndarray, xs: Grid, out: Grid) -> np.ndarray:
    """The int8 values of HARD_SWISH for stored x (any shape)."""
    return _table(xs, out)[x - LOWEST]


def _table(xs, out):
    """The results for all 256 values."""
    fine = (ALL - xs.zero) << 7
    step = F(1.0 / 128.0) * xs.scale
    multiplier, exponent = _multiplier(float(F(step / out.scale)))
    products = _high(fine, multiplier)
    gate_multiplier, gate_exponent = _multiplier(float(F(step / _BOUND_SCALE)))
    # All but one of the shifts to the left come first, the last one saturates.
    gates = _saturated(fine << max(gate_exponent - 1, 0))
    gates = _high(gates, gate_multiplier)
    if gate_exponent > 0:
        gates = _saturated(gates << 1)
    gates = (_shifted(gates, max(-gate_exponent, 0)) + (1 << 15)) >> 1
    # This product is cut and not rounded.
    found = np.trunc(gates * products / (1 << 15)).astype(np.int64)
    found = _shifted(found, -exponent) + out.zero
    return np.clip(found, LOWEST, HIGHEST).astype(np.int32)


def _multiplier(factor):
    """A factor as a fraction of 16 bits, rounded from one of 32 bits, and a power of two."""
    fraction, exponent = math.frexp(factor)
    wide = math.floor(fraction * (1 << 31) + 0.5)
    if wide == 1 << 31:
        wide, exponent = wide // 2, exponent + 1
    return min((wide + (1 << 15)) >> 16, _MOST), exponent


def _high(x, multiplier):
    """Gemmlowp's SaturatingRoundingDoublingHighMul of 16 bits."""
    product = x.astype(np.int64) * multiplier
    nudged = product + np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    return np.trunc(nudged / (1 << 15)).astype(np.int64)


def _shifted(x, right):
    """Gemmlowp's RoundingDivideByPOT."""
    rest, limit = x & ((1 << right) - 1), ((1 << right) - 1) >> 1
    return (x >> right) + (rest > limit + (x < 0))


def _saturated(x):
    return np.clip(x, _LEAST, _MOST)
