"""Options of a run from scratch that follow from its training pictures or sounds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_transformer.zoo.media.pictures import picture_size
from keras_transformer.zoo.media.sounds import sound_length
from keras_transformer.zoo.suited.texts import bounded

# Rows whose size or length is looked at.
_LOOKED_AT = 200
# The side from which on the model's own size suits pictures.
_LARGE = 160
# Patches of a smaller input: more of them cost more than they tell.
_MOST_PATCHES = 100
# Rows that a run reads in all its epochs, and the epochs that this may be.
_PICTURES_READ, _SOUNDS_READ, _EPOCHS = 600_000, 100_000, (5, 100)
# The highest rate that speech needs, in Hz; seconds of a frame and from one to the next, divisor of
# the length in seconds, and percentage of the sounds that are not cut.
_MOST_RATE, _FRAME, _HOP, _STEP, _UNCUT = 16_000, 0.03, 0.01, 0.1, 95
# Vectors of a sound.
_MOST_VECTORS = 100


def suited_to_pictures(rows: Sequence[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options of an encoder's run by name, and `settings` of its model.

    Small pictures are read in their own size: by convolutions, or in patches of about an eighth.

    Args:
        rows: training rows, paths or arrays.
        settings: settings of the model that are chosen already.
    """
    options = _options("vit_tiny", _PICTURES_READ, rows) | {"augment": "crop", "settings": {}}
    side = int(np.median([min(picture_size(row)) for row in _looked_at(rows)]))
    is_chosen = "height" in settings or "width" in settings
    if side >= _LARGE and not is_chosen:
        return options
    side = max(16, side - side % settings.get("patch", 4))
    height, width = (settings.get(name, side) for name in ("height", "width"))
    common = math.gcd(height, width)
    patch = settings.get("patch") or next(
        size for size in range(1, common + 1)
        if common % size == 0 and (height // size) * (width // size) <= _MOST_PATCHES
        or size == common
    )  # fmt: skip
    options["settings"] = {"height": height, "width": width, "patch": patch}
    return options | {"model": "cct_4"}


def suited_to_sounds(rows: Sequence[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options of an encoder's run by name, and `settings` of its model.

    The rate is that of most sounds, at most 16 kHz, and the length that of all but the longest
    twentieth.

    Args:
        rows: training rows, see `Audio`; samples without a rate have the model's.
        settings: settings of the model that are chosen already.
    """
    found = [sound_length(row) for row in _looked_at(rows)]
    rates = [rate for _, rate in found if rate is not None]
    rate = settings.get("rate")
    if rate is None:
        rate = min(int(np.median(rates)), _MOST_RATE) if rates else _MOST_RATE
    seconds = np.percentile([length / (own or rate) for length, own in found], _UNCUT)
    seconds = max(_STEP, _STEP * np.ceil(round(seconds / _STEP, 6)))
    given = {
        "rate": rate, "samples": round(seconds * rate), "frame": round(_FRAME * rate),
        "hop": round(_HOP * rate), **settings,
    }  # fmt: skip
    frames = 1 + (given["samples"] - given["frame"]) // given["hop"]
    patch = settings.get("patch_frames", max(2, -(-frames // _MOST_VECTORS)))
    own = {name: given[name] for name in ("rate", "samples", "frame", "hop")}
    return _options("kwt_tiny", _SOUNDS_READ, rows) | {
        "settings": {**own, "patch_frames": patch, "dropout": 0.1}
    }


def _options(model: str, reads: int, rows: Sequence[Any]) -> dict[str, Any]:
    """The options of a model's run, which reads so many rows in all its epochs."""
    return {
        "model": model, "optimizer": "adamw", "weight_decay": 0.05, "learning_rate": 1e-3,
        "epochs": bounded(reads / len(rows), _EPOCHS), "label_smoothing": 0.1,
    }  # fmt: skip


def _looked_at(rows: Sequence[Any]) -> list[Any]:
    """Rows from first to last, at most as many as are looked at."""
    places = np.linspace(0, len(rows) - 1, min(_LOOKED_AT, len(rows))).astype(int)
    return [rows[place] for place in places]
