"""Smoothing: huge channels of activations move into the kernels behind them before rounding.

Published models have channels that are up to a hundred times as large as the others, and one grid
for all of them leaves few steps to the rest. A factor for each channel divides the activations and
multiplies the kernels' rows, which changes nothing in float (Xiao et al. 2023, arXiv:2211.10438,
section 4). Factors are powers of two, so that float outputs do not change by a single bit.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.precision import Precision
from keras_transformer.edge.quantize.least_error import Sample, on_grid
from keras_transformer.edge.quantize.observing import observe
from keras_transformer.edge.quantize.seams import Seam, seams
from keras_transformer.quantization import Projection
from keras_transformer.rounding import round_kernel, round_rows
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe import check_smooth

# Shares of the activations' sizes in the factors, among which `auto` chooses; 0 is no smoothing.
STRENGTHS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Rows of activations on which errors are compared, and batches that they are drawn from.
_ROWS, _BATCHES = 128, 16
# A channel that is always zero has no size of its own.
_SMALLEST = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Read:
    """What a seam's readers are given: the largest size of each channel, and some rows."""

    largest: np.ndarray
    rows: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Smoothed:
    """A smoothed model's weights, and what was chosen.

    Attributes:
        weights: the changed weights by path.
        strengths: strength by the name of the seam, 0 where none was better.
    """

    weights: dict[str, np.ndarray]
    strengths: dict[str, float]

    def __str__(self) -> str:
        chosen = [strength for strength in self.strengths.values() if strength]
        span = f", with strengths from {min(chosen):g} to {max(chosen):g}" if chosen else ""
        return f"Smoothed {len(chosen)} of {len(self.strengths)} tensors between layers{span}."


def smoothed(model: keras.Model, batches: Batches, precision: Precision, strength: str) -> Smoothed:
    """Returns weights that give the same outputs in float, and are meant to be rounded.

    Args:
        model: a float model.
        batches: batches on which sizes and errors are measured.
        precision: precision to which activations and kernels will be rounded.
        strength: `auto`, which takes for each seam the strength of `STRENGTHS` that rounds the
            readers' outputs with the least squared error, or a number from 0 to 1: the exponent of
            the activations' sizes in a factor, the power of two nearest to
            `max|x|**s / max|w|**(1 - s)` over its mean.

    Raises:
        InputError: if the strength is neither, or the model has no tensor that can be smoothed.
    """
    check_smooth(strength)
    places = list(seams(model))
    if not places:
        raise InputError(
            f"Expected a model with blocks to smooth, got {model.name} without; give --smooth none."
        )
    read = _inputs_of([seam.readers[0] for seam in places], model, batches)
    of_path = {weight.path: weight for weight in model.weights}
    weights: dict[str, np.ndarray] = {}
    strengths = {}
    for seam in places:
        inputs = read[seam.readers[0].path]
        kernels = [_value(one.kernel, weights) for one in seam.readers]
        if strength == "auto":
            grid = _Grid(precision, seam, inputs.rows, kernels)
            found = min(STRENGTHS, key=lambda one: grid.error(_factors(seam, inputs, kernels, one)))
        else:
            found = float(strength)
        strengths[seam.name] = found
        if found:
            factors = _factors(seam, inputs, kernels, found)
            for path in seam.writers:
                weights[path] = _value(of_path[path], weights) / factors
            for reader, kernel in zip(seam.readers, kernels, strict=True):
                weights[reader.kernel.path] = kernel * seam.spread(factors)[:, None]
    return Smoothed(weights=weights, strengths=strengths)


def _value(weight: keras.Variable, changed: dict[str, np.ndarray]) -> np.ndarray:
    found = changed.get(weight.path)
    return ops.convert_to_numpy(weight.value) if found is None else found


def _factors(
    seam: Seam, inputs: _Read, kernels: list[np.ndarray], strength: float
) -> np.ndarray:  # fmt: skip
    """The factors (C,) of a strength: powers of two, with a geometric mean near 1."""
    if not strength:
        return np.ones(seam.shared[0] * seam.shared[2], np.float32)
    activations = np.log2(np.maximum(seam.largest(inputs.largest), _SMALLEST))
    rows = np.max([np.abs(kernel).max(1) for kernel in kernels], axis=0)
    weights = np.log2(np.maximum(seam.largest(rows), _SMALLEST))
    exponents = strength * activations - (1.0 - strength) * weights
    return np.exp2(np.rint(exponents - exponents.mean())).astype(np.float32)


class _Grid:
    """The squared error of rounding what a seam's readers read, and their kernels."""

    def __init__(
        self, precision: Precision, seam: Seam, rows: np.ndarray, kernels: list[np.ndarray]
    ):
        self.precision, self.seam, self.rows, self.kernels = precision, seam, rows, kernels
        self.exact = [rows @ kernel for kernel in kernels]

    def error(self, factors: np.ndarray) -> float:
        """Returns the error of the readers' outputs with the factors (C,)."""
        spread = self.seam.spread(factors)
        rounded = self._rounded(self.rows / spread)
        error = 0.0
        for kernel, exact in zip(self.kernels, self.exact, strict=True):
            stored = round_kernel(
                kernel * spread[:, None], self.precision.kernel_bits, self.precision.kernel_block
            )
            outputs = rounded @ ops.convert_to_numpy(stored)
            error += float(np.square(outputs - exact).sum())
        return error

    def _rounded(self, rows: np.ndarray) -> np.ndarray:
        spec = self.precision
        is_stored = spec.activation_bits is not None and (
            self.seam.is_stored or spec.row_bits is None
        )
        if is_stored:
            sample = Sample.of(rows, np.random.default_rng(0))
            bounds = sample.bounds(spec.activation_bits, symmetric=spec.activation_bits > 8)
            rows = on_grid(rows, *bounds, spec.activation_bits)
        if spec.row_bits is not None and (self.seam.adds or not is_stored):
            rows = ops.convert_to_numpy(round_rows(rows, spec.row_bits))
        return rows


def _inputs_of(
    projections: list[Projection], model: keras.Model, batches: Batches
) -> dict[str, _Read]:  # fmt: skip
    """What projections read, by their paths."""
    largest: dict[str, np.ndarray] = {}
    rows: dict[str, list[np.ndarray]] = {}
    count = min(len(batches), _BATCHES)
    rng = np.random.default_rng(0)

    def remember(projection, inputs):
        found = ops.convert_to_numpy(inputs).reshape(-1, inputs.shape[-1])
        sizes = np.abs(found).max(0)
        largest[projection.path] = np.maximum(largest.get(projection.path, 0.0), sizes)
        drawn = rng.integers(0, len(found), -(-_ROWS // count))
        rows.setdefault(projection.path, []).append(found[drawn])

    observe(projections, remember, model, batches, count)
    return {path: _Read(largest=largest[path], rows=np.concatenate(rows[path])) for path in largest}
