"""What a file of integers alone leaves to its host: the log-mel spectrogram of a sound.

The model computes it in floats. Its file reads it in 8 bits, as the model stores it behind
`log_mel_point`, and the host computes it in integers, see `zoo.modalities.log_mel`: `Runner` in
NumPy, and a microcontroller in the C code of the target `micro`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.frames import LogMel
from keras_transformer.zoo.modalities.audio import AudioSettings
from keras_transformer.zoo.modalities.log_mel import (
    LOG_MEL,
    LOG_MEL_FILE,
    IntegerLogMel,
    StoredScale,
)
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.models.build import all_layers


class FrontEnd:
    """The spectrogram of a model, and the model from it on.

    Args:
        model: a Keras model.
        layer: its log-mel layer.

    Attributes:
        log_mel: the spectrogram in integers.
    """

    def __init__(self, model: keras.Model, layer: LogMel):
        [self._waveform] = [name for name, one in model.input.items() if one is layer.input]
        [point] = [one for one in all_layers(model) if one.path == f"{layer.path}_point"]
        step = point.scale
        zero = math.floor(-128 - float(point.range_min) / step + 0.5)
        settings = AudioSettings(
            rate=layer.rate, samples=layer.input.shape[1], frame=layer.frame, hop=layer.hop,
            mels=layer.mels, low=layer.low, high=layer.high, patch_frames=layer.patch_frames,
            class_tokens=int(layer.class_token),
        )  # fmt: skip
        mean, deviation = (
            tuple(ops.convert_to_numpy(one).tolist()) for one in (layer.mean, layer.deviation)
        )
        stored = StoredScale(mean=mean, deviation=deviation, step=step, zero=zero)
        self.log_mel = IntegerLogMel(settings, stored)
        self._step, self._has_token = np.float32(step), layer.class_token
        self._others = [name for name in model.input if name != self._waveform]
        others = [model.input[name] for name in self._others]
        self._rest = keras.Model([layer.output, *others], model.output)

    def specs(self, specs: Sequence[InputSpec]) -> tuple[InputSpec, ...]:
        """Returns the inputs of a file, of those of the model."""
        return tuple(self.log_mel.spec if one.name == self._waveform else one for one in specs)

    def inputs(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the arrays that a file reads, of those that the model does."""
        others = {name: one for name, one in arrays.items() if name != self._waveform}
        return {**others, LOG_MEL: self.log_mel(arrays[self._waveform])}

    def __call__(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        """Returns the model's outputs for the inputs of a file."""
        stored = ops.cast(inputs[LOG_MEL], "float32")
        x = (stored - float(self.log_mel.stored.zero)) * self._step
        if self._has_token:
            x = ops.pad(x, ((0, 0), (1, 0), (0, 0)))
        return self._rest([x, *(inputs[name] for name in self._others)], training=training)


def front_end_of(model: keras.Model) -> FrontEnd | None:
    """Returns the part of a model that its file leaves to the host; None where it has all."""
    for layer in all_layers(model):
        if isinstance(layer, LogMel) and layer.inner_bits is not None:
            return FrontEnd(model, layer)
    return None


def file_inputs(
    model: keras.Model, arrays: Mapping[str, np.ndarray]
) -> Mapping[str, np.ndarray]:
    """Returns what a model's file reads, for the inputs of the model by name."""
    front_end = front_end_of(model)
    return arrays if front_end is None else front_end.inputs(arrays)


def front_end_files(model: keras.Model) -> dict[str, bytes]:
    """Returns the attached files that a host needs for what is left to it, by name."""
    front_end = front_end_of(model)
    return {} if front_end is None else {LOG_MEL_FILE: front_end.log_mel.stored.to_bytes()}
