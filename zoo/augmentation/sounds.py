"""Augmentation of sounds, batch by batch."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from keras_transformer.zoo.augmentation.augmented import Augmented
from keras_transformer.zoo.augmentation.names import kinds_of
from keras_transformer.zoo.data.batches import Batch, Batches, SampledBatches
from keras_transformer.zoo.modalities.log_mel import hertz_of, mels_of

_WAVEFORM = "waveform"
# Share of the length by which a sound is moved at most; factors of its level; decibels of it over
# noise; share of the length of silence at most; share of the mels that are removed at most.
_SHIFT, _LEVEL, _OVER_NOISE, _SILENCE, _BAND = 0.1, (0.25, 4.0), (10.0, 40.0), 0.1, 0.2


class AugmentedSounds(Augmented):
    """Training batches whose sounds are changed at random, differently in every epoch.

    - `shift`: moved by up to a tenth of the input's length, after or before zeros.
    - `level`: a quarter to four times as loud.
    - `noise`: white noise 10 to 40 dB below it, in every second.
    - `mask`: up to a tenth of the input's length becomes silence (Park et al. 2019,
      arXiv:1904.08779, section 2, in time).
    - `frequency`: up to a fifth of the mels, a stretch of them, is removed (the same in frequency).

    Args:
        batches: batches with float32 `waveform`.
        names: kinds of augmentation, with commas between them.
        seed: seed of the run.
        rate: samples a second, in Hz.

    Raises:
        InputError: if a kind is unknown.
    """

    def __init__(self, batches: Batches | SampledBatches, names: str, *, seed: int, rate: int):
        super().__init__(batches, seed)
        changes = {**_CHANGES, "frequency": functools.partial(_without_band, rate=rate)}
        self._kinds = [changes[name] for name in kinds_of(names, KINDS)]

    def _changed(self, batch: Batch, rng: np.random.Generator) -> Batch:
        sounds = batch.inputs[_WAVEFORM]
        for change in self._kinds:
            sounds = np.stack([change(sound, rng) for sound in sounds])
        inputs = {**batch.inputs, _WAVEFORM: sounds.astype(np.float32)}
        return dataclasses.replace(batch, inputs=inputs)


def _shifted(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    most = round(_SHIFT * len(sound))
    places = int(rng.integers(-most, most + 1))
    zeros = np.zeros(abs(places), sound.dtype)
    if places < 0:
        return np.concatenate([sound[-places:], zeros])
    return np.concatenate([zeros, sound[: len(sound) - places]])


def _level(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return sound * np.exp(rng.uniform(*np.log(_LEVEL)))


def _noisy(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        return sound
    size = np.sqrt(np.square(sound).mean()) * 10 ** (-rng.uniform(*_OVER_NOISE) / 20)
    return sound + rng.normal(0, size, len(sound))


def _masked(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    length = int(rng.integers(0, round(_SILENCE * len(sound)) + 1))
    start = int(rng.integers(0, len(sound) - length + 1))
    sound = sound.copy()
    sound[start : start + length] = 0
    return sound


def _without_band(sound: np.ndarray, rng: np.random.Generator, *, rate: int) -> np.ndarray:
    highest = mels_of(rate / 2)
    width = rng.uniform(0, _BAND * highest)
    low = rng.uniform(0, highest - width)
    places = hertz_of(np.array([low, low + width])) * len(sound) / rate
    start, end = np.ceil(places).astype(int)
    spectrum = np.fft.rfft(sound)
    spectrum[start:end] = 0
    return np.fft.irfft(spectrum, len(sound))


# In the order in which they are applied, `frequency` last.
_CHANGES: Mapping[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "shift": _shifted, "level": _level, "noise": _noisy, "mask": _masked,
}  # fmt: skip
KINDS = (*_CHANGES, "frequency")
