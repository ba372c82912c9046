"""NumPy references of the int8 kernels that run a file of integers, exact to the last bit.

LiteRT runs most ops in XNNPACK: dot products, sums, products and tables of a function. Softmax and
the inverse root are LiteRT's own, as is a product of two tensors whose second has a zero point.
Each function returns the int8 values that its kernel stores; `tests/edge/integers` runs the kernels
beside them on all values of their inputs.

The functions follow the released sources, named at each. Scales are float32 and are multiplied in
float32 and in the kernel's order, as one bit of a factor decides values near the middle of two.
"""

import dataclasses
import math

import numpy as np

from keras_transformer.zoo.errors import RunError

LOWEST, HIGHEST = -128, 127
ALL = np.arange(LOWEST, HIGHEST + 1)
F = np.float32
# Half the width to which the converter widens the range of a channel that is nearly zeros
# (`kNearZeroTolerance` in quantization_utils.cc).
SMALLEST = 5e-7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """A grid of int8 values.

    Attributes:
        scale: step, a float32.
        zero: the integer that stores 0.
        step: the step as FakeQuant computes it, a float32; the converter rounds constants by it.
    """

    scale: np.float32
    zero: int
    step: np.float32

    @classmethod
    def of(cls, minimum: float, maximum: float) -> "Grid":
        """Returns the grid of 256 values that FakeQuant and the converter choose for a range."""
        # Both compute it in double, and the file stores the scale as float32.
        width = float(maximum) - float(minimum)
        zero = LOWEST - float(minimum) / (width / 255)
        zero = int(np.clip(math.floor(zero + 0.5), LOWEST, HIGHEST))
        return cls(scale=F(width / 255), zero=zero, step=F(F(maximum) - F(minimum)) / F(255))

    def store(self, values: np.ndarray) -> np.ndarray:
        """Rounds floats (any shape) to the grid: int32."""
        lowest = F(LOWEST - self.zero) * self.step
        steps = np.floor((F(values) - lowest) * (F(1) / self.step) + F(0.5))
        return _clipped(steps + LOWEST)

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """The integers of floats (any shape) that are on the grid: int32."""
        return _clipped(np.rint(np.float64(values) / np.float64(self.scale)) + self.zero)

    def values(self, integers: np.ndarray) -> np.ndarray:
        """The float32 values of integers (any shape)."""
        return F(integers - self.zero) * self.scale


def scaled(products: np.ndarray, factor: np.ndarray, out: Grid) -> np.ndarray:
    """Integers times a float32 factor, rounded to the nearest, of ties to the even one.

    The `fp32` requantization of XNNPACK's qs8 gemm, vmul and reduce.
    """
    return _clipped(np.rint(F(products) * F(factor)) + out.zero)


def multiply(x: np.ndarray, y: np.ndarray, xs: Grid, ys: Grid, out: Grid) -> np.ndarray:
    """XNNPACK qs8-vmul."""
    return scaled((x - xs.zero) * (y - ys.zero), F(xs.scale * ys.scale) / out.scale, out)


def mean(axis: int, x: np.ndarray, xs: Grid, out: Grid) -> np.ndarray:
    """XNNPACK qs8-rsum over one axis, which stays with size 1."""
    total = (x - xs.zero).sum(axis, keepdims=True)
    return scaled(total, F(xs.scale / out.scale) * (F(1) / F(x.shape[axis])), out)


def add(x: np.ndarray, y: np.ndarray, xs: Grid, ys: Grid, out: Grid) -> np.ndarray:
    """XNNPACK qs8-vadd: 21-bit multipliers, and ties to the higher value.

    Raises:
        RunError: if a step is so much larger than the output's that XNNPACK leaves the sum to
            LiteRT's own kernel, which overflows.
    """
    return _sum(x - xs.zero, y - ys.zero, F(xs.scale / out.scale), F(ys.scale / out.scale), out)


def subtract(x: np.ndarray, y: np.ndarray, xs: Grid, ys: Grid, out: Grid) -> np.ndarray:
    """The same of a difference."""
    return _sum(x - xs.zero, ys.zero - y, F(xs.scale / out.scale), F(ys.scale / out.scale), out)


def _sum(x, y, a, b, out):
    if max(a, b) >= 256:
        raise RunError(
            "Expected the steps of a sum to be less than 256 times its output's, got "
            f"{max(a, b):.3g} times; calibrate its range on more data."
        )
    shift = 21 - math.frexp(max(a, b))[1]
    by = [int(np.rint(math.ldexp(float(factor), shift))) for factor in (a, b)]
    total = np.int64(x) * by[0] + np.int64(y) * by[1]
    return _clipped(((total + (1 << (shift - 1))) >> shift) + out.zero)


def matmul(x: np.ndarray, y: np.ndarray, xs: Grid, ys: Grid, out: Grid) -> np.ndarray:
    """The product of two stored tensors: XNNPACK's gemm, LiteRT's where y has a zero point."""
    products = _dots(x - xs.zero, y - ys.zero)
    if ys.zero == 0:
        return scaled(products, F(xs.scale * ys.scale) / out.scale, out)
    factor = float(xs.scale) * float(ys.scale) / float(out.scale)
    return _clipped(rescaled(products, factor) + out.zero)


def _dots(x, y):
    # Sums of less than 2**53 are exact in float64, whose product is the fast one.
    return np.matmul(np.float64(x), np.float64(y)).astype(np.int64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
    """A projection's kernel and bias, as a file stores them.

    Attributes:
        integers: (width, units).
        scales: (units,), float32.
        bias: (units,) floats, or None.
    """

    integers: np.ndarray
    scales: np.ndarray
    bias: np.ndarray | None = None

    @classmethod
    def of(cls, values: np.ndarray, bias: np.ndarray | None = None) -> "Kernel":
        """Stores a kernel (width, units) that lies on its grid."""
        largest = np.maximum(np.abs(values).max(0).astype(np.float64), SMALLEST)
        scales = F(largest / HIGHEST)
        integers = np.rint(np.float64(values) / np.float64(scales))
        return cls(integers=integers.astype(np.int32), scales=scales, bias=bias)

    def project(self, x: np.ndarray, xs: Grid, out: Grid, *, relu: bool = False) -> np.ndarray:
        """XNNPACK qs8-qc8w-gemm: stores x (..., width) times the kernel, plus the bias."""
        total = _dots(x - xs.zero, self.integers)
        if self.bias is not None:
            total = total + np.rint(
                np.float64(self.bias) / (np.float64(xs.scale) * np.float64(self.scales))
            ).astype(np.int64)
        stored = scaled(total, F(xs.scale * self.scales) / out.scale, out)
        return np.maximum(stored, out.zero) if relu else stored


def windows(x: np.ndarray, size: tuple[int, int], stride: int, outside: int) -> np.ndarray:
    """The values (B, height, width, h * w * C) under a window at each place of padded images.

    Args:
        x: (B, height, width, C).
        size: h and w.
        stride: distance between neighbouring places.
        outside: value of the padding, TensorFlow's `SAME`.
    """
    missing = [
        max(0, (-(-length // stride) - 1) * stride + window - length)
        for length, window in zip(x.shape[1:3], size, strict=True)
    ]
    padding = [(one // 2, one - one // 2) for one in missing]
    x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=outside)
    found = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))
    found = np.moveaxis(found[:, ::stride, ::stride], 3, -1)
    return found.reshape(*found.shape[:3], -1)


def sigmoid(x: np.ndarray, xs: Grid, out: Grid) -> np.ndarray:
    """XNNPACK's LOGISTIC, a table."""
    return _table_of(lambda values: 1.0 / (1.0 + np.exp(-values)), xs, out)[x - LOWEST]


def tanh(x: np.ndarray, xs: Grid, out: Grid) -> np.ndarray:
    """XNNPACK's TANH, a table."""
    return _table_of(np.tanh, xs, out)[x - LOWEST]


def _table_of(function, xs, out):
    """The results for all 256 values (operators/unary-elementwise-nc.c)."""
    values = function(np.float64(xs.values(ALL)))
    return _clipped(np.rint(F(values) * (F(1) / out.scale)) + out.zero)


def looked_up(values: np.ndarray, x: np.ndarray, out: Grid) -> np.ndarray:
    """LiteRT's tables (`LUTPopulate`): x is stored as its one of 256 float32 values is."""
    table = F(values) * (F(1) / out.scale)
    # Of ties to the one that is further from 0, as C's round.
    rounded = np.trunc(np.float64(table) + np.copysign(0.5, table))
    return _clipped(rounded + out.zero)[x - LOWEST]


def erf(values: np.ndarray) -> np.ndarray:
    """The error function of float32 values (n,)."""
    return F([math.erf(value) for value in values.tolist()])


def erfc(values: np.ndarray) -> np.ndarray:
    """`1 - erf` of float32 values (n,)."""
    return F([math.erfc(value) for value in values.tolist()])


def softmax(x: np.ndarray, xs: Grid, out: Grid) -> np.ndarray:
    """LiteRT's SOFTMAX over the last axis: a table of exponentials, summed in float32."""
    table = F(np.exp(np.float64(-xs.scale * F(np.arange(256)))))
    powers = table[x.max(-1, keepdims=True) - x]
    total = np.cumsum(powers, -1, dtype=F)[..., -1:]
    found = powers * (F(1) / (total * out.scale))
    return _clipped(np.floor(np.float64(found) + 0.5) + out.zero)


def inverse_root(x: np.ndarray, xs: Grid, out: Grid) -> np.ndarray:
    """LiteRT's RSQRT (kernels/elementwise.cc), in fixed point; the highest value for 0."""
    factor = 1.0 / float(np.sqrt(xs.scale) * out.scale)
    domain = np.arange(1, 256)
    roots = np.array([_fixed_inverse_root(value) for value in domain.tolist()])
    table = _clipped(rescaled(roots, factor, shift=-20) + out.zero)
    table = np.concatenate([[HIGHEST], table])
    return table[x - xs.zero]


def _fixed_inverse_root(value: int) -> int:
    """`2**20 / sqrt(value)`: Newton's method in 32 bits (`GetInvSqrtQuantizedMultiplierExp`)."""
    if value <= 1:
        return 1 << 20
    shift = 11
    while value >= 1 << 29:
        value, shift = value // 4, shift + 1
    # As many bits to the left, an even number, as leave the highest bit of 30 free.
    left = (32 - value.bit_length() - 1) // 2 - 1
    shift -= left
    value <<= 2 * left
    half = ((value >> 1) + 1) >> 1
    x = 1 << 28  # 1 in Q3.28
    for _ in range(5):
        cube = _saturated(_doubled_high(_doubled_high(x, x), x) << 6)
        x = _saturated((_doubled_high(x, 3 << 27) - _doubled_high(half, cube)) << 3)
    x = _doubled_high(x, 1518500250)  # sqrt(2) / 2 in Q0.31
    if shift < 0:
        x, shift = x << -shift, 0
    return int(_rescaled_by(np.int64(1), np.int64(x), -shift + 20))


def _saturated(value: int) -> int:
    return max(-(1 << 31), min((1 << 31) - 1, value))


def _doubled_high(a: int, b: int) -> int:
    """Gemmlowp's SaturatingRoundingDoublingHighMul of Python integers."""
    product = a * b
    nudged = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    return nudged // (1 << 31) if nudged >= 0 else -(-nudged // (1 << 31))


def rescaled(x: np.ndarray, factor: float, shift: int = 0) -> np.ndarray:
    """`x * factor * 2**shift` in the fixed point of LiteRT's `QuantizeMultiplier`."""
    fraction, exponent = math.frexp(factor)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, exponent = multiplier // 2, exponent + 1
    return _rescaled_by(np.asarray(x, np.int64), np.int64(multiplier), exponent + shift)


def _rescaled_by(x, multiplier, shift):
    """LiteRT's `MultiplyByQuantizedMultiplier`, which rounds twice."""
    doubled = x * (np.int64(1) << np.int64(max(shift, 0))) * multiplier
    nudged = doubled + np.where(doubled >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    right = max(-shift, 0)
    rest, limit = high & ((1 << right) - 1), ((1 << right) - 1) >> 1
    return (high >> right) + (rest > limit + (high < 0))


def _clipped(values):
    return np.clip(values, LOWEST, HIGHEST).astype(np.int32)
