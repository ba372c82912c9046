"""Rounding of kernels that keeps their outputs on calibration data, not each value."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.convolution import Convolution
from keras_transformer.edge.precision import ROUNDINGS
from keras_transformer.edge.quantize.observing import Enough, observe, observed
from keras_transformer.edge.quantize.ranges import CALIBRATION_BATCHES
from keras_transformer.quantization import KernelLayer
from keras_transformer.rounding import kernel_scale
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers

# Moments of inputs that are held at once, in numbers; each pass over the batches fills as many.
_HELD = 2**26
# Share of the mean that is added to each input's moment, so that they can be inverted.
_DAMPING = 0.01
# Scales are sought among these shares of the one that reaches the largest value.
_SHARES = np.linspace(1.0, 0.7, 13, dtype=np.float32)
# Inputs whose errors are moved to the others together.
_PANEL = 64


def check_rounding(rounding: str) -> None:
    """Raises InputError if the rounding of kernels is unknown."""
    if rounding not in ROUNDINGS:
        raise InputError(
            f"Expected rounding to be one of {', '.join(ROUNDINGS)}, got rounding={rounding!r}."
        )


@dataclasses.dataclass(eq=False)
class Moments:
    """Second moments (D, D) and the mean (D,) of rows that projections read.

    The order and the factors are computed once, from the moments at that time.
    """

    second: np.ndarray
    total: np.ndarray
    rows: int = 0

    @classmethod
    def of_width(cls, width: int) -> "Moments":
        """Returns those of no rows."""
        return cls(np.zeros((width, width), np.float32), np.zeros(width, np.float64))

    def add(self, rows: Any) -> None:
        """Adds rows (..., D)."""
        rows = ops.reshape(ops.cast(rows, "float32"), (-1, rows.shape[-1]))
        # By the backend: NumPy's threads and its own would compete for the same cores.
        self.second += ops.convert_to_numpy(ops.matmul(ops.transpose(rows), rows))
        self.total += ops.convert_to_numpy(rows).sum(0, dtype=np.float64)
        self.rows += len(rows)

    @property
    def mean(self) -> np.ndarray:
        """The mean (D,)."""
        return (self.total / self.rows).astype(np.float32)

    @functools.cached_property
    def order(self) -> np.ndarray:
        """The inputs (D,), those of the largest moment first."""
        return np.argsort(-np.diag(self.second), kind="stable")

    @functools.cached_property
    def factors(self) -> np.ndarray:
        """The upper Cholesky factor (D, D) of the inverse of the damped moments, in that order."""
        moments = self.second[np.ix_(self.order, self.order)].astype(np.float64)
        mean = float(np.diag(moments).mean()) or 1.0
        damped = moments + np.eye(len(moments)) * _DAMPING * mean
        return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class _Readers:
    """Layers that read the same tensors, and how many of those in each run of the model."""

    projections: tuple[KernelLayer, ...]
    calls: int

    @property
    def first(self) -> KernelLayer:
        return self.projections[0]


def learn_rounding(
    model: keras.Model, batches: Batches, note: Callable[[str], None] | None = None
) -> None:
    """Replaces the kernels of a quantized model by values on their grids that keep its outputs.

    Inputs of a kernel are rounded one after the other, those of the largest moment first, and each
    error is made up for by the inputs that follow, in proportion to how they go together on the
    batches (Frantar et al. 2023, arXiv:2210.17323, section 3, with scales that are chosen before).
    What remains of the mean error moves into the bias, if there is one (Nagel et al. 2019,
    arXiv:1906.04721, section 4.2). Inputs are those of the quantized model. Zeros stay zero, since
    they may have been pruned.

    Args:
        model: a quantized model with weights and ranges.
        batches: batches, of which the first `CALIBRATION_BATCHES` are read in each pass.
        note: told how many kernels are done, after each pass.
    """
    projections = [
        layer for layer in all_layers(model)
        if isinstance(layer, KernelLayer) and layer.kernel_bits is not None
    ]  # fmt: skip
    done = 0
    for group in _groups(_readers(projections, model, batches)):
        moments = _moments(group, model, batches)
        for readers in group:
            found = moments.pop(readers.first.path)
            for projection in readers.projections:
                _round(projection, found)
            done += len(readers.projections)
        if note is not None:
            note(f"Learned the rounding of {done} of {len(projections)} kernels.")


def _readers(
    projections: Sequence[KernelLayer], model: keras.Model, batches: Batches
) -> list[_Readers]:
    """Those of the projections that the model runs, by the tensors that they read of one row."""
    read: dict[str, list[Any]] = {}

    def remember(projection, inputs):
        read.setdefault(projection.path, []).append(inputs)

    with observed(projections, remember):
        batch = next(iter(batches.epoch(0)))
        model({name: rows[:1] for name, rows in batch.inputs.items()}, training=False)
    shared: dict[tuple, list[KernelLayer]] = {}
    for projection in projections:
        if projection.path in read:
            rounding = projection.rounds_rows, projection.row_bits
            key = (*map(id, read[projection.path]), *rounding, *_window(projection))
            shared.setdefault(key, []).append(projection)
    return [_Readers(tuple(found), len(read[found[0].path])) for found in shared.values()]


def _window(layer: KernelLayer) -> tuple[int, ...]:
    """What a convolution reads of its inputs at once; a projection reads a vector."""
    return (layer.kernel_size, layer.stride) if isinstance(layer, Convolution) else ()


def _width(layer: KernelLayer) -> int:
    """Number of inputs of each output."""
    return math.prod(layer.kernel.shape[:-1])


def _groups(readers: Sequence[_Readers]) -> Iterator[list[_Readers]]:
    """Consecutive readers whose moments are held together."""
    group: list[_Readers] = []
    held = 0
    for one in readers:
        size = _width(one.first) ** 2
        if group and held + size > _HELD:
            yield group
            group, held = [], 0
        group.append(one)
        held += size
    if group:
        yield group


def _moments(
    group: Sequence[_Readers], model: keras.Model, batches: Batches
) -> dict[str, Moments]:  # fmt: skip
    """Moments of what each of a group reads, by the path of its first projection."""
    found = {one.first.path: Moments.of_width(_width(one.first)) for one in group}
    calls = sum(one.calls for one in group)
    left = calls

    def remember(projection, inputs):
        nonlocal left
        rows = projection.rows_read(inputs)
        if isinstance(projection, Convolution):
            rows = projection.windows(rows)
        found[projection.path].add(rows)
        left -= 1
        if not left:
            left = calls
            raise Enough

    observe([one.first for one in group], remember, model, batches, CALIBRATION_BATCHES)
    return found


def _round(projection: KernelLayer, moments: Moments) -> None:
    """Assigns a projection its rounded kernel, and the bias that makes up for the mean error."""
    shape = projection.kernel.shape
    kernel = ops.convert_to_numpy(projection.kernel.value).reshape(-1, shape[-1])
    scale = least_error_scale(kernel, np.diag(moments.second), projection)
    rounded = compensated(kernel, moments, scale, projection.kernel_bits)
    if projection.use_bias:
        projection.bias.assign(projection.bias + moments.mean @ (kernel - rounded))
    projection.kernel.assign(rounded.reshape(shape))


def least_error_scale(
    kernel: np.ndarray, weights: np.ndarray, projection: KernelLayer
) -> np.ndarray:
    """Returns the scales (width, units) of a kernel, each with the least squared error.

    Args:
        kernel: (width, units).
        weights: (width,), weights of the squared errors.
        projection: the projection whose grid it is.
    """
    bits, block, factor = projection.kernel_bits, projection.kernel_block, projection.factor
    width, units = kernel.shape
    block = block or width
    shape = (width // block, block, units)
    blocks, weights = kernel.reshape(shape), weights.reshape(-1, block, 1)
    largest = np.abs(blocks).max(1, keepdims=True)
    top = 2 ** (bits - 1) - 1
    best = np.full((shape[0], 1, units), np.inf, np.float32)
    scales = np.ones_like(best)
    for share in _SHARES:
        clipped = np.clip(blocks, -share * largest, share * largest)
        scale = ops.convert_to_numpy(
            kernel_scale(clipped.reshape(width, units), bits, projection.kernel_block, factor)
        )
        rounded = np.clip(np.rint(blocks / scale), -top, top) * scale
        error = (weights * np.square(rounded - blocks)).sum(1, keepdims=True)
        is_better = error < best
        best, scales = np.where(is_better, error, best), np.where(is_better, scale, scales)
    return np.broadcast_to(scales, shape).reshape(width, units)


def compensated(kernel: np.ndarray, moments: Moments, scale: np.ndarray, bits: int) -> np.ndarray:
    """Rounds a kernel (width, units) to multiples of the scales, each error made up for.

    The largest value of each scale's share stays at the end of the grid, from which the scale is
    computed again where the kernel is stored.

    Args:
        kernel: (width, units).
        moments: moments of the inputs.
        scale: (width, units).
        bits: width of the stored integers.
    """
    top = 2 ** (bits - 1) - 1
    nearest = np.clip(np.rint(kernel / scale), -top, top)
    is_fixed = (np.abs(nearest) == top) | (kernel == 0.0)
    order, factors = moments.order, moments.factors
    left, rounded = kernel[order], np.empty_like(kernel)
    for start in range(0, len(order), _PANEL):
        end = min(start + _PANEL, len(order))
        errors = np.empty((end - start, kernel.shape[1]), np.float32)
        for at in range(start, end):
            row = order[at]
            steps = np.clip(np.rint(left[at] / scale[row]), -top, top)
            rounded[row] = np.where(is_fixed[row], nearest[row], steps) * scale[row]
            errors[at - start] = (left[at] - rounded[row]) / factors[at, at]
            left[at + 1 : end] -= np.outer(factors[at, at + 1 : end], errors[at - start])
        left[end:] -= factors[start:end, end:].T @ errors
    return rounded
