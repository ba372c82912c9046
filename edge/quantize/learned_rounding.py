"""Rounding of kernels that learns from activations: each error is mended by the weights after it.

Rounding to nearest keeps each weight near its value. What matters is that a projection's outputs
stay near theirs, for the inputs that it meets: once an input's weights are rounded, those of the
inputs behind it are changed so that together they make up for the error as well as they can
(Frantar et al. 2023, arXiv:2210.17323, section 3, after Hassibi and Stork 1993).
"""

from contextlib import ExitStack

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.quantize.observing import observed, unrounded
from keras_transformer.edge.quantize.ranges import CALIBRATION_BATCHES, learned_points
from keras_transformer.quantization import Projection
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.models.build import all_layers

# Share of the mean diagonal that is added to a Hessian, as in the paper's section 4: inputs that
# hardly vary would make it singular.
_DAMPING = 0.01
# Inputs whose errors are passed on together to those behind them (section 3.3, step 2).
_TOGETHER = 128


def learn_rounding(model: keras.Model, batches: Batches) -> None:
    """Moves the rounded kernels of a model to points of their grids, chosen by what they are given.

    The token table and kernels that stay float are left as they are. The grids are those that the
    kernels have: rounding a kernel again gives what it is.

    Args:
        model: a quantized model, whose ranges need not be set.
        batches: batches on which the projections' inputs are seen, in float.
    """
    projections = [
        layer for layer in all_layers(model)
        if isinstance(layer, Projection) and layer.kernel_bits is not None
    ]  # fmt: skip
    hessians, first = _hessians(model, projections, batches)
    for path in list(hessians):
        factor = inverse_factor(hessians.pop(path))
        for layer in projections:
            if first.get(layer.path) == path:
                kernel = ops.convert_to_numpy(layer.kernel.value)
                scale = ops.convert_to_numpy(layer.scale)
                layer.kernel.assign(rounded(kernel, scale, factor, layer.kernel_bits))


def rounded(
    kernel: np.ndarray, scale: np.ndarray, factor: np.ndarray, bits: int
) -> np.ndarray:  # fmt: skip
    """Rounds a kernel with the least squared error of its outputs, input by input.

    The weight of each block that is largest in size stays at the end of the grid, which it
    determines.

    Args:
        kernel: (D, units).
        scale: (blocks, 1, units), the steps of the grids of D / blocks inputs each.
        factor: (D, D), see `inverse_factor`.
        bits: width of the stored integer.

    Returns:
        float32 (D, units), on the grid.
    """
    width, units = kernel.shape
    weights = kernel.astype(np.float64)
    steps = np.repeat(scale[:, 0].astype(np.float64), width // len(scale), axis=0)
    most = 2 ** (bits - 1) - 1
    ends = _ends(np.abs(kernel), len(scale)) & (np.rint(np.abs(kernel) / steps) >= most)
    integers = np.zeros_like(weights)
    for first in range(0, width, _TOGETHER):
        part = slice(first, min(first + _TOGETHER, width))
        errors = np.zeros((part.stop - first, units))
        for i in range(first, part.stop):
            nearest = np.clip(np.rint(weights[i] / steps[i]), -most, most)
            integers[i] = np.where(ends[i], most * np.sign(kernel[i]), nearest)
            error = (weights[i] - integers[i] * steps[i]) / factor[i, i]
            weights[i + 1 : part.stop] -= np.outer(factor[i, i + 1 : part.stop], error)
            errors[i - first] = error
        weights[part.stop :] -= factor[part, part.stop :].T @ errors
    return (integers.astype(np.float32) * steps.astype(np.float32)).astype(np.float32)


def _ends(sizes: np.ndarray, blocks: int) -> np.ndarray:
    """Whether a weight (D, units) is the largest of its block in size."""
    of_blocks = sizes.reshape(blocks, -1, sizes.shape[1])
    largest = np.zeros(of_blocks.shape, bool)
    np.put_along_axis(largest, of_blocks.argmax(1)[:, None], True, axis=1)
    return largest.reshape(sizes.shape)


def inverse_factor(hessian: np.ndarray) -> np.ndarray:
    """Returns the upper Cholesky factor (D, D) of the inverse of `X^T X` (D, D), damped."""
    damped = hessian.astype(np.float64)
    size = np.mean(np.diag(damped))
    damped[np.diag_indices_from(damped)] += _DAMPING * size if size > 0 else 1.0
    inverse = np.linalg.inv(damped)
    return np.linalg.cholesky((inverse + inverse.T) / 2).T


def _hessians(
    model: keras.Model, projections: list[Projection], batches: Batches
) -> tuple[dict[str, np.ndarray], dict[str, str]]:  # fmt: skip
    """`X^T X` of inputs by the path of the first projection that reads them, and those of all."""
    sums: dict[str, np.ndarray] = {}
    first: dict[str, str] = {}
    last = []

    def remember(layer, inputs):
        if last and last[0] is inputs:
            first[layer.path] = last[1]
            return
        last[:] = inputs, layer.path
        first[layer.path] = layer.path
        found = ops.convert_to_numpy(inputs).reshape(-1, inputs.shape[-1])
        sums[layer.path] = sums.get(layer.path, 0.0) + found.T @ found

    with ExitStack() as stack:
        stack.enter_context(unrounded(learned_points(model)))
        stack.enter_context(observed(projections, remember))
        for layer in projections:
            stack.enter_context(layer.in_float())
        for batch, _ in zip(batches.epoch(0), range(CALIBRATION_BATCHES), strict=False):
            model(batch.inputs, training=False)
    return sums, first
