"""Rounding of kernels that keeps their outputs on calibration data, not each value."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.precision import ROUNDINGS
from keras_transformer.edge.quantize.observing import observe
from keras_transformer.edge.quantize.ranges import CALIBRATION_BATCHES
from keras_transformer.quantization import Projection
from keras_transformer.rounding import kernel_scale, round_rows
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
class _Moments:
    """Second moments (D, D) and the mean (D,) of what a projection reads, over all rows."""

    second: np.ndarray
    total: np.ndarray
    rows: int = 0

    @classmethod
    def of_width(cls, width: int) -> "_Moments":
        return cls(np.zeros((width, width), np.float32), np.zeros(width, np.float64))

    def add(self, rows: np.ndarray) -> None:
        self.second += rows.T @ rows
        self.total += rows.sum(0, dtype=np.float64)
        self.rows += len(rows)

    @property
    def mean(self) -> np.ndarray:
        return (self.total / self.rows).astype(np.float32)


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
        if isinstance(layer, Projection) and layer.kernel_bits is not None
    ]  # fmt: skip
    done = 0
    for group in _groups(projections):
        moments = _moments(group, model, batches)
        for projection in group:
            found = moments.pop(projection.path)
            if found.rows:
                _round(projection, found)
        done += len(group)
        if note is not None:
            note(f"Learned the rounding of {done} of {len(projections)} kernels.")


def _groups(projections: Sequence[Projection]) -> Iterator[list[Projection]]:
    """Consecutive projections whose moments are held together."""
    group: list[Projection] = []
    held = 0
    for projection in projections:
        size = projection.kernel.shape[0] ** 2
        if group and held + size > _HELD:
            yield group
            group, held = [], 0
        group.append(projection)
        held += size
    if group:
        yield group


def _moments(
    projections: Sequence[Projection], model: keras.Model, batches: Batches
) -> dict[str, _Moments]:  # fmt: skip
    found = {one.path: _Moments.of_width(one.kernel.shape[0]) for one in projections}

    def remember(projection, inputs):
        if projection.rounds_rows:
            inputs = round_rows(inputs, projection.row_bits)
        found[projection.path].add(
            ops.convert_to_numpy(inputs).astype(np.float32).reshape(-1, inputs.shape[-1])
        )

    observe(projections, remember, model, batches, CALIBRATION_BATCHES)
    return found


def _round(projection: Projection, moments: _Moments) -> None:
    """Assigns a projection its rounded kernel, and the bias that makes up for the mean error."""
    kernel = ops.convert_to_numpy(projection.kernel.value)
    weights = np.diag(moments.second)
    scale = least_error_scale(kernel, weights, projection)
    rounded = compensated(kernel, moments.second, scale, projection.kernel_bits)
    if projection.use_bias:
        projection.bias.assign(projection.bias + moments.mean @ (kernel - rounded))
    projection.kernel.assign(rounded)


def least_error_scale(
    kernel: np.ndarray, weights: np.ndarray, projection: Projection
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


def compensated(
    kernel: np.ndarray, moments: np.ndarray, scale: np.ndarray, bits: int
) -> np.ndarray:
    """Rounds a kernel (width, units) to multiples of the scales, each error made up for.

    The largest value of each scale's share stays at the end of the grid, from which the scale is
    computed again where the kernel is stored.

    Args:
        kernel: (width, units).
        moments: (width, width), second moments of the inputs.
        scale: (width, units).
        bits: width of the stored integers.
    """
    top = 2 ** (bits - 1) - 1
    nearest = np.clip(np.rint(kernel / scale), -top, top)
    is_fixed = (np.abs(nearest) == top) | (kernel == 0.0)
    order = np.argsort(-np.diag(moments), kind="stable")
    factors = _inverse_factors(moments[np.ix_(order, order)])
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


def _inverse_factors(moments: np.ndarray) -> np.ndarray:
    """The upper Cholesky factor of the inverse of damped moments."""
    moments = moments.astype(np.float64)
    mean = float(np.diag(moments).mean()) or 1.0
    damped = moments + np.eye(len(moments)) * _DAMPING * mean
    return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
