"""Where the weights of a distributed run lie: which axis of each is cut over which axis of devices.

Attention and feed-forward layers are cut as in Megatron-LM (Shoeybi et al. 2019, arXiv:1909.08053,
section 3): what projects from the width of the model by columns, what projects back to it by rows.
"""

import math
import re
from collections.abc import Sequence

import keras

DATA, MODEL = "data", "model"
# Below so many numbers a weight is whole on every device: gathering it costs more than it holds.
SMALLEST_SHARED = 4096

_COLUMNS, _ROWS, _VALUES = (None, MODEL), (MODEL, None), (MODEL,)
# Pattern of a weight's path -> the axis of devices that each of its axes is cut over.
PATTERNS = {
    r"/(query|key|value|up|gate)/kernel$": _COLUMNS,
    r"/(query|key|value|up|gate)/bias$": _VALUES,
    r"/(output|down)/kernel$": _ROWS,
    # By width: a vocabulary is seldom a multiple of anything.
    r"embedding/embeddings$": _COLUMNS,
}


def axes_of(
    path: str, shape: Sequence[int], *, replicas: int, model: int, is_shared: bool
) -> tuple[str | None, ...]:
    """Returns the axis of devices that each axis of a weight is cut over.

    Args:
        path, shape: of the weight.
        replicas: number of devices along the axis of rows.
        model: number of devices that share the weights of `PATTERNS`.
        is_shared: whether devices along the axis of rows share large weights too, of which each
            step gathers what it needs (Rajbhandari et al. 2020, arXiv:1910.02054, stage 3).
    """
    axes: list[str | None] = [None] * len(shape)
    if model > 1:
        for pattern, found in PATTERNS.items():
            if re.search(pattern, path) and len(found) == len(shape):
                axes = [
                    axis if axis and size % model == 0 else None
                    for axis, size in zip(found, shape, strict=True)
                ]
                break
    if is_shared and replicas > 1 and math.prod(shape) >= SMALLEST_SHARED:
        free = [
            (size, -place) for place, size in enumerate(shape)
            if axes[place] is None and size % replicas == 0
        ]  # fmt: skip
        if free:
            axes[-max(free)[1]] = DATA
    return tuple(axes)


class Layout(keras.distribution.ModelParallel):
    """Lays weights on a mesh of devices by `axes_of`; what Keras itself is given lies on all.

    A `LayoutMap` knows the path of a weight, but not whether its size can be divided.

    Args:
        mesh: devices (replicas, model).
        is_shared: see `axes_of`.
    """

    def __init__(self, mesh: keras.distribution.DeviceMesh, *, is_shared: bool):
        super().__init__(
            layout_map=keras.distribution.LayoutMap(mesh), batch_dim_name=DATA,
            auto_shard_dataset=False,
        )
        self._is_shared = is_shared

    def get_variable_layout(self, variable):
        replicas, model = self.device_mesh.shape
        axes = axes_of(
            variable.path, variable.shape, replicas=replicas, model=model,
            is_shared=self._is_shared,
        )  # fmt: skip
        return keras.distribution.TensorLayout(axes, self.device_mesh)

    def get_data_layout(self, data_shape):
        # Every process validates all rows, and would have each counted once a process.
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)
