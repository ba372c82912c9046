"""C sources that listen to streams for a model of sounds: spectrogram, windows and detections.

`c/listen.h` and `c/listen.c` are what all models have in common; the sizes and tables of one are
put into them, and its name in the place of `model`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_transformer.edge.runtime.packed import LABELS
from keras_transformer.edge.targets.micro.c_code import array, filled, quoted
from keras_transformer.zoo.data.labels import read_labels
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.audio import Audio
from keras_transformer.zoo.modalities.log_mel import SCALE_BITS, TURN_BITS, IntegerLogMel
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.outputs import decision_of
from keras_transformer.zoo.streaming.streaming import HOP, REFRACTORY, SMOOTHING, THRESHOLD


def listening_sources(
    name: str, description: Mapping[str, Any], files: Mapping[str, bytes]
) -> dict[str, str]:
    """Returns `NAME_listen.h` and `NAME_listen.c` for a file of a model of sounds, by name.

    Args:
        name: of the model, in C.
        description, files: of the file, see `unpack`.
    """
    if description.get("modality") != Audio.name:
        return {}
    modality = modality_named(Audio.name).from_files(
        files, max_length=description["max_length"],
        settings=description["model"]["modality_settings"],
    )  # fmt: skip
    log_mel = modality.log_mel
    if log_mel is None:
        raise InputError("Expected a file of integers, which reads spectrograms, got waveforms.")
    labels = read_labels(files[LABELS], LABELS)
    decision = decision_of(description["output_kind"], description["task"], labels)
    parts = {
        "sizes": _sizes(log_mel, len(labels)), **_defaults(log_mel),
        "tables": _tables(log_mel, labels, decision),
    }  # fmt: skip
    return {
        f"{name}_listen.{suffix}": filled(f"listen.{suffix}", name, parts) for suffix in ("h", "c")
    }


def _sizes(log_mel: IntegerLogMel, labels: int) -> str:
    of = log_mel.settings
    sizes = {
        "RATE": of.rate, "SAMPLES": of.samples, "FRAME": of.frame, "HOP": of.hop,
        "TRANSFORM": of.transform, "MELS": of.mels,
        "FRAMES": math.prod(log_mel.spec.shape) // of.mels, "LABELS": labels,
    }  # fmt: skip
    return "\n".join(f"#define MODEL_{name} {value}" for name, value in sizes.items())


def _defaults(log_mel: IntegerLogMel) -> dict[str, str]:
    """Those of `Streaming.stream`, with a hop of whole frames."""
    of = log_mel.settings
    hop = max(1, round(HOP * of.rate / of.hop))
    return {
        "hop_frames": str(hop), "threshold": f"{THRESHOLD:g}f",
        "windows": str(max(1, round(SMOOTHING * of.rate / (hop * of.hop)))),
        "refractory": str(round(REFRACTORY * of.rate)),
    }  # fmt: skip


def _tables(
    log_mel: IntegerLogMel, labels: Sequence[str], decision: Mapping[str, Any]
) -> str:
    used = [np.flatnonzero(column) for column in log_mel.bands.T]
    weights = [log_mel.bands[places, band] for band, places in enumerate(used)]
    scope = decision.get("out_of_scope")
    constants = {
        "WINDOW_SHIFT": log_mel.window_shift, "TURN_BITS": TURN_BITS,
        "POWER_SHIFT": log_mel.power_shift, "SCALE_BITS": SCALE_BITS,
        "FLOOR": f"UINT64_C({log_mel.floor})",
        "TEMPERATURE": f"{decision.get('temperature', 1.0)!r}f",
        "LEAST_PROBABILITY": f"{0.0 if scope is None else scope['threshold']!r}f",
    }  # fmt: skip
    lines = [f"#define {name} {value}" for name, value in constants.items()]
    names = ",\n".join(f"    {quoted(label)}" for label in labels)
    return "\n".join([
        *lines, "",
        f"const char* const model_labels[MODEL_LABELS] = {{\n{names}}};",
        array("int32_t", "window", log_mel.window),
        array("int32_t", "cosines", log_mel.turns[0]),
        array("int32_t", "sines", log_mel.turns[1]),
        array("uint16_t", "firsts", [places[0] for places in used]),
        array("uint16_t", "counts", [len(places) for places in used]),
        array("uint16_t", "weights", np.concatenate(weights)),
        array("int32_t", "lines", log_mel.lines), array("int32_t", "factors", log_mel.factors),
        array("int64_t", "offsets", log_mel.offsets),
    ])  # fmt: skip
