"""Rounding of biases to the grid on which an integer device stores them.

The device adds them to integer dot products, as int32 in units of the input's scale times the
kernel's (Jacob et al. 2018, section 2.4). The rounding is a thousandth of an output step, but it
moves one value in a thousand to its neighbour, and after a few layers a third of all values.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.quantize.observing import observed
from keras_transformer.quantization import KernelLayer, QuantPoint
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.models.build import all_layers

ROWS = 2


def round_biases(model: keras.Model, inputs: Mapping[str, np.ndarray]) -> None:
    """Rounds the biases of a quantized model to the values that its file will store.

    Args:
        model: model with ranges that are set.
        inputs: a few rows of its inputs by name.

    Raises:
        RunError: if a kernel's layer reads a tensor that no quantization point has rounded.
    """
    for projection, point in _points_read(model, inputs).items():
        if projection.use_bias:
            scale = point.scale * projection.scale
            scale = ops.convert_to_numpy(scale).astype("float64").reshape(-1)
            bias = ops.convert_to_numpy(projection.bias.value).astype("float64")
            projection.bias.assign((np.round(bias / scale) * scale).astype("float32"))


def validated_as_stored(
    validate: Callable[[keras.Model], dict[str, Any]], inputs: Mapping[str, np.ndarray]
) -> Callable[[keras.Model], dict[str, Any]]:
    """Returns a validation of a model with its biases rounded, which it has back afterwards.

    Args:
        validate: validation of a model.
        inputs: see `round_biases`.
    """

    def validated(model: keras.Model) -> dict[str, Any]:
        biases = [
            (layer.bias, ops.convert_to_numpy(layer.bias.value))
            for layer in all_layers(model) if isinstance(layer, KernelLayer) and layer.use_bias
        ]  # fmt: skip
        round_biases(model, inputs)
        try:
            return validate(model)
        finally:
            for bias, value in biases:
                bias.assign(value)

    return validated


def _points_read(
    model: keras.Model, inputs: Mapping[str, np.ndarray]
) -> dict[KernelLayer, QuantPoint]:
    """Returns the point whose output each kernel's layer reads, found by running the model."""
    rounded: list[tuple[QuantPoint, np.ndarray]] = []
    found: dict[KernelLayer, QuantPoint | None] = {}

    def remember(point, values):
        rounded.append((point, ops.convert_to_numpy(values)))
        return values

    def look_up(projection, values):
        values = np.unique(ops.convert_to_numpy(values))
        # Zeros are on every grid, and pad what is read.
        values = values[values != 0]
        # The last point with all of these values, usually the one just before: the projection may
        # read a part of its output, such as the first token.
        fitting = (point for point, output in reversed(rounded) if np.isin(values, output).all())
        found[projection] = next(fitting, None)

    layers = all_layers(model)
    points = [layer for layer in layers if isinstance(layer, QuantPoint) and layer.bits is not None]
    projections = [
        layer for layer in layers
        if isinstance(layer, KernelLayer) and layer.kernel_bits is not None
        and not layer.rounds_rows
    ]  # fmt: skip
    with observed(points, remember), observed(projections, look_up):
        model({name: ids[:ROWS] for name, ids in inputs.items()}, training=False)
    for projection, point in found.items():
        if point is None:
            raise RunError(f"Expected {projection.path} to read a rounded tensor; none was found.")
    return found
