"""Log-mel spectrograms in integers alone, for files that are nothing but integers.

Every step is a sum, a product or a shift of 64-bit integers at most, so that a device without a
unit for floats computes the same numbers: the C code of the target `micro` gives them bit for bit.
What is computed is `keras_transformer.frames.LogMel`, of samples of 16 bits.

| step | in integers |
|---|---|
| window | times 2^30, rounded; products keep as many bits as the transform leaves |
| Fourier transform | radix 2 in 32 bits (Cooley and Tukey 1965), factors times 2^30, rounded |
| powers | 64 bits, less those that sums over a band need |
| bands | weights times 2^12, rounded |
| logarithm | base 2 times 2^16: the highest bit, and a table of 128 lines between powers |
| normalization | a product and a sum for each band, rounded to the stored int8 |
"""

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import InputSpec

if TYPE_CHECKING:
    from keras_transformer.zoo.modalities.audio import AudioSettings

LOG_MEL_FILE = "log_mel.json"
# Input of a file in place of the waveform.
LOG_MEL = "log_mel"
# Power of a sample of 1 below which a band is silence, that of `frames.LogMel`.
FLOOR = 1e-6
WINDOW_BITS, TURN_BITS, BAND_BITS, LOG_BITS, SCALE_BITS = 30, 30, 12, 16, 32
_LINE_BITS = 7
_MOST = 1e30


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredScale:
    """How the logarithms of a model are normalized, and stored in 8 bits.

    Attributes:
        mean, deviation: of each band, in natural logarithms.
        step: difference of two neighbouring integers, in deviations.
        zero: the integer that stores the mean.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    step: float
    zero: int

    @classmethod
    def from_bytes(cls, data: bytes, mels: int) -> Self:
        """Reads what `to_bytes` returned; InputError if it is anything else."""
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"Expected {LOG_MEL_FILE} to be JSON, got an error: {error}."
            ) from None
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(value, dict) or sorted(value) != sorted(names):
            raise InputError(f"Expected {LOG_MEL_FILE} to hold {', '.join(names)}, got {value!r}.")
        for name in ("mean", "deviation"):
            numbers = value[name]
            if not isinstance(numbers, list) or len(numbers) != mels or not all(
                _is_number(one, positive=name == "deviation") for one in numbers
            ):
                raise InputError(
                    f"Expected {name} of {LOG_MEL_FILE} to be {mels} numbers, got {numbers!r}."
                )
            value[name] = tuple(map(float, numbers))
        if not _is_number(value["step"], positive=True):
            raise InputError(
                f"Expected step of {LOG_MEL_FILE} to be above 0, got {value['step']!r}."
            )
        if type(value["zero"]) is not int or not -128 <= value["zero"] <= 127:
            raise InputError(
                f"Expected zero of {LOG_MEL_FILE} to be from -128 to 127, got {value['zero']!r}."
            )
        return cls(**value)

    def to_bytes(self) -> bytes:
        """Returns the content of the file."""
        return (json.dumps(dataclasses.asdict(self)) + "\n").encode()


def _is_number(value: Any, *, positive: bool = False) -> bool:
    is_finite = type(value) in (int, float) and math.isfinite(value) and abs(value) < _MOST
    return is_finite and (not positive or value > 1 / _MOST)


class IntegerLogMel:
    """The spectrogram of a model's settings, stored as its file reads it.

    Args:
        settings: settings of the model's sounds.
        stored: normalization and storage.

    Attributes:
        window: (frame,) factors of the samples.
        window_shift: bits that are dropped of their products.
        turns: (2, transform / 2) cosines and sines of the transform.
        order: (transform,) places of the samples, bits reversed.
        power_shift: bits that are dropped of powers.
        bands: (transform / 2 + 1, mels) weights.
        floor: smallest sum of a band.
        lines: (129,) logarithms of the table.
        factors, offsets: (mels,) of the normalization.
    """

    def __init__(self, settings: "AudioSettings", stored: StoredScale):
        self.settings, self.stored = settings, stored
        frame, length = settings.frame, settings.transform
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)
        self.window = _rounded(window * 2**WINDOW_BITS)
        # No sum of the transform is larger than that of the window times the largest sample.
        kept = 30 - 15 - math.ceil(math.log2(window.sum()))
        self.window_shift = WINDOW_BITS - kept
        angle = 2 * np.pi * np.arange(length // 2) / length
        self.turns = _rounded(np.stack([np.cos(angle), -np.sin(angle)]) * 2**TURN_BITS)
        places, bits = np.arange(length), length.bit_length() - 1
        self.order = sum(((places >> bit) & 1) << (bits - 1 - bit) for bit in range(bits))
        # Parseval: the sum of all powers is that of the squares of the samples times the length.
        largest = 2 * kept + 30 + math.log2(length * np.square(window).sum())
        self.power_shift = max(0, math.ceil(largest + BAND_BITS - 62))
        self.bands = _rounded(_mel_bands(settings) * 2**BAND_BITS)
        # A power of 1 of samples from -1 to 1.
        unit = 2 * (15 + kept) + BAND_BITS - self.power_shift
        self.floor = int(round(FLOOR * 2.0**unit))
        self.lines = _rounded(np.log2(1 + np.arange(129) / 128) * 2**LOG_BITS)
        mean, deviation = np.array(stored.mean), np.array(stored.deviation)
        by = 2.0**SCALE_BITS / (deviation * stored.step)
        factors = by * math.log(2) / 2**LOG_BITS
        offsets = (stored.zero + 0.5) * 2.0**SCALE_BITS - by * (mean + unit * math.log(2))
        if factors.max() >= 2**31 or np.abs(offsets).max() >= 2**62:
            raise InputError(
                f"Expected integers of 64 bits to hold the scale in {LOG_MEL_FILE}, got a step of "
                f"{stored.step:g}."
            )
        self.factors, self.offsets = _rounded(factors), _rounded(offsets)

    @property
    def spec(self) -> InputSpec:
        """Input of a file, of shape (T, patch_frames * mels), without a class token."""
        of = self.settings
        # Patches of several bands each are cut in the graph.
        together = 1 if of.patch_mels else of.patch_frames
        shape = of.num_frames // together, together * of.mels
        return InputSpec(name=LOG_MEL, dtype="int8", shape=shape, positions=of.positions)

    def __call__(self, waveforms: np.ndarray) -> np.ndarray:
        """Returns int8 (rows, T, patch_frames * mels) of samples (rows, samples) from -1 to 1.

        The samples are rounded to 16 bits; T is the number of patches.
        """
        samples = np.clip(np.rint(np.float64(waveforms) * 32_768), -32_768, 32_767)
        of, (places, width) = self.settings, self.spec.shape
        found = np.zeros((len(samples), places * width // of.mels, of.mels), np.int8)
        for row, values in zip(found, samples.astype(np.int64), strict=True):
            frames = np.lib.stride_tricks.sliding_window_view(values, of.frame)[:: of.hop]
            row[:] = self.frames(frames[: len(row)])
        return found.reshape(len(samples), places, width)

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Returns the stored values (frames, mels) of samples (frames, frame) of 16 bits."""
        real, imaginary = self._transformed(samples)
        powers = (real * real + imaginary * imaginary) >> self.power_shift
        sums = np.maximum(powers @ self.bands, self.floor)
        scaled = self._logarithms(sums) * self.factors + self.offsets
        return np.clip(scaled >> SCALE_BITS, -128, 127).astype(np.int8)

    def _transformed(self, samples):
        """Both parts (frames, transform / 2 + 1) of the Fourier transform."""
        length = len(self.order)
        real = np.zeros((len(samples), length), np.int64)
        real[:, : self.settings.frame] = _shifted(samples * self.window, self.window_shift)
        real, size = real[:, self.order], 1
        imaginary = np.zeros_like(real)
        while size < length:
            shape = (len(samples), -1, 2, size)
            (a, b), (c, d) = (
                np.moveaxis(one.reshape(shape), 2, 0) for one in (real, imaginary)
            )  # fmt: skip
            cosine, sine = self.turns[:, :: length // (2 * size)]
            turned = _shifted(b * cosine - d * sine, TURN_BITS)
            other = _shifted(b * sine + d * cosine, TURN_BITS)
            real = np.stack([a + turned, a - turned], axis=2).reshape(len(samples), -1)
            imaginary = np.stack([c + other, c - other], axis=2).reshape(len(samples), -1)
            size *= 2
        return real[:, : length // 2 + 1], imaginary[:, : length // 2 + 1]

    def _logarithms(self, values):
        """Logarithms of base 2 of positive integers below 2**63, times 2**16."""
        highest = np.zeros_like(values)
        for step in (32, 16, 8, 4, 2, 1):
            is_above = values >= np.int64(1) << np.minimum(highest + step, 62)
            highest += np.where(is_above & (highest + step < 63), step, 0)
        # The bits after the highest one: 7 choose a line, and 16 the place on it.
        rest = (values << (62 - highest)) & ((np.int64(1) << 62) - 1)
        line = rest >> (62 - _LINE_BITS)
        place = (rest >> (62 - _LINE_BITS - 16)) & 0xFFFF
        rise = self.lines[line + 1] - self.lines[line]
        return (highest << LOG_BITS) + self.lines[line] + ((rise * place) >> 16)


def _rounded(values):
    return np.rint(values).astype(np.int64)


def _shifted(values, bits):
    """Integers divided by a power of 2, rounded to the nearest and of ties to the higher one."""
    return (values + (1 << (bits - 1))) >> bits if bits else values


def mels_of(hertz: Any) -> Any:
    """Returns the mels of frequencies in Hz."""
    return 2595 * np.log10(1 + hertz / 700)


def hertz_of(mels: Any) -> Any:
    """Returns the frequencies in Hz of mels."""
    return 700 * (10 ** (mels / 2595) - 1)


def band_edges(settings: "AudioSettings") -> np.ndarray:
    """Returns the edges (mels + 2,) of the bands in Hz, equally far from each other in mels."""
    ends = mels_of(np.array([settings.low, settings.highest]))
    return hertz_of(np.linspace(*ends, settings.mels + 2))


def _mel_bands(settings):
    """The weights (transform / 2 + 1, mels) of powers, see `keras_transformer.frames.LogMel`."""
    edges = band_edges(settings)
    length = settings.transform
    frequencies = np.arange(length // 2 + 1)[:, None] * settings.rate / length
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))
