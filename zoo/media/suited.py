"""Options of a run from scratch that follow from its training pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_transformer.zoo.media.pictures import picture_size

# Pictures whose size is looked at, and the side from which on the model's own size suits them.
_LOOKED_AT, _LARGE = 200, 160
# Patches of a smaller input: more of them cost more than they tell.
_MOST_PATCHES = 100
# Pictures that a run reads in all its epochs, and the epochs that this may be.
_ROWS_READ, _EPOCHS = 600_000, (5, 100)


def suited_to_pictures(rows: Sequence[Any]) -> dict[str, Any]:
    """Returns options of an encoder's run by name, and `settings` of its model.

    Small pictures are read in their own size: by convolutions, or in patches of about an eighth.

    Args:
        rows: training rows, paths or arrays.
    """
    epochs = int(np.clip(np.ceil(_ROWS_READ / len(rows)), *_EPOCHS))
    options: dict[str, Any] = {
        "model": "vit_tiny", "optimizer": "adamw", "weight_decay": 0.05, "learning_rate": 1e-3,
        "epochs": epochs, "label_smoothing": 0.1, "augment": "crop", "settings": {},
    }  # fmt: skip
    places = np.linspace(0, len(rows) - 1, min(_LOOKED_AT, len(rows))).astype(int)
    side = int(np.median([min(picture_size(rows[place])) for place in places]))
    if side >= _LARGE:
        return options
    side = max(16, side - side % 4)
    patch = next(
        size for size in range(1, side + 1)
        if side % size == 0 and (side // size) ** 2 <= _MOST_PATCHES
    )  # fmt: skip
    options["settings"] = {"height": side, "width": side, "patch": patch}
    return options | {"model": "cct_4"}
