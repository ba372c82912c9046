"""The audio modality: sounds of one rate and length as samples."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.errors import InputError, placed
from keras_transformer.zoo.media.class_folders import row_file
from keras_transformer.zoo.media.sounds import (
    MOST_RATE,
    SUFFIXES,
    check_levels,
    checked_rate,
    fitted,
    named,
    read_sound,
    sound_of,
)
from keras_transformer.zoo.modalities.log_mel import (
    LOG_MEL,
    LOG_MEL_FILE,
    IntegerLogMel,
    StoredScale,
    band_edges,
)
from keras_transformer.zoo.modalities.modality import (
    Features,
    InputSpec,
    Modality,
    without_pairs,
)
from keras_transformer.zoo.modalities.settings import ModalitySettings

# Samples of the longest input: 16 million of them.
_MOST_SAMPLES = 1 << 24
# Samples of a frame. The constants of the transform of a shorter one would be numbers that 8 bits
# hold, and so be taken for rounded kernels.
_LEAST_FRAME, _MOST_FRAME = 33, 1 << 13


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioSettings(ModalitySettings):
    """How sounds are read, and what a model's log-mel spectrogram of them is.

    Attributes:
        rate: samples a second, in Hz.
        samples: length of the model's input.
        frame: length of a frame of the spectrogram, in samples.
        hop: samples from one frame to the next, at most a frame.
        mels: number of mel bands.
        low, high: lower edge of the lowest and upper edge of the highest band, in Hz; a `high` of 0
            is half of the rate.
        patch_frames: number of frames that are one vector of the stack.
        patch_mels: number of mel bands of it; 0 for all.
        patch_overlap: frames, and bands, that a vector shares with the next one.
        class_tokens: number of learned vectors before the frames: 1 where the first is pooled.
    """

    modality: ClassVar[str] = "audio"

    rate: int
    samples: int
    frame: int
    hop: int
    mels: int = 40
    low: float = 20.0
    high: float = 0.0
    patch_frames: int = 1
    patch_mels: int = 0
    patch_overlap: int = 0
    class_tokens: int = 1

    def __post_init__(self):
        self._check_integers(
            ("rate", 1, MOST_RATE), ("samples", 1, _MOST_SAMPLES),
            ("frame", _LEAST_FRAME, _MOST_FRAME), ("hop", 1, _MOST_FRAME), ("mels", 1, 512),
            ("patch_frames", 1, _MOST_SAMPLES), ("patch_mels", 0, self.mels),
            ("patch_overlap", 0, _MOST_SAMPLES), ("class_tokens", 0, 1),
        )  # fmt: skip
        if not self.hop <= self.frame <= self.samples:
            raise InputError(
                "Expected a hop of at most a frame, and a frame of at most all samples, got "
                f"hop={self.hop}, frame={self.frame}, samples={self.samples}."
            )
        for name in ("low", "high"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not math.isfinite(value):
                raise InputError(f"Expected {name} to be a number of Hz, got {name}={value!r}.")
        if not 0 <= self.low < self.highest <= self.rate / 2:
            raise InputError(
                f"Expected 0 <= low < high <= {self.rate / 2:g} Hz, half of the rate, got "
                f"low={self.low}, high={self.highest}."
            )
        if empty := self._empty_band():
            raise InputError(
                f"Expected mel bands that are wider than the {self.rate / self.transform:g} Hz "
                f"between the frequencies of a frame of {self.frame} samples, got "
                f"mels={self.mels}, of which band {empty} has none; take fewer or a longer frame."
            )
        if self.patch_frames > self.num_frames:
            raise InputError(
                f"Expected patch_frames to be at most the {self.num_frames} frames of "
                f"{self.samples} samples, got patch_frames={self.patch_frames}."
            )

        if self.patch_overlap and not self.patch_overlap < min(self.patch_frames, self.patch_mels):
            raise InputError(
                "Expected patch_overlap to be below patch_frames and patch_mels, got "
                f"patch_overlap={self.patch_overlap}, patch_frames={self.patch_frames}, "
                f"patch_mels={self.patch_mels}."
            )

    def _empty_band(self):
        """The number of the first band from 1 on that no frequency is in; 0 if there is none."""
        places = band_edges(self) * self.transform / self.rate
        # Whole numbers strictly between the edges of each.
        counts = np.ceil(places[2:]) - np.floor(places[:-2]) - 1
        return 0 if (counts > 0).all() else int((counts <= 0).argmax()) + 1

    @property
    def highest(self) -> float:
        """The upper edge of the highest band, in Hz."""
        return self.high or self.rate / 2

    @property
    def transform(self) -> int:
        """Length of the Fourier transform of a frame: the next power of 2."""
        return 1 << (self.frame - 1).bit_length()

    @property
    def num_frames(self) -> int:
        """Number of frames that lie within the samples."""
        return 1 + (self.samples - self.frame) // self.hop

    @property
    def positions(self) -> int:
        """Number of vectors that the model's stack reads; a last patch that is not full is left."""
        return self.class_tokens + self.grid[0] * self.grid[1]

    @property
    def grid(self) -> tuple[int, int]:
        """Numbers of patches along the frames and along the bands."""
        bands = self._patches(self.mels, self.patch_mels) if self.patch_mels else 1
        return self._patches(self.num_frames, self.patch_frames), bands

    def _patches(self, size, side):
        return 1 + (size - side) // (side - self.patch_overlap)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Audio(Modality):
    """Sounds as float32 `waveform` (samples,) from -1 to 1, see `AudioSettings`.

    A raw row is the path of a WAV or FLAC file, its bytes, an array of samples at the model's rate,
    or a pair of an array and its rate. Channels are averaged, other rates are resampled, of longer
    sounds the middle is read, and shorter ones have zeros after their end. The samples are floats
    since that is what the hosts of files take: MediaPipe, browsers, and phones' recorders.

    Attributes:
        log_mel: spectrogram that is computed beside a file of integers alone, which reads it in
            place of the waveform; None where the graph computes its own.
    """

    log_mel: IntegerLogMel | None = None

    name: ClassVar[str] = "audio"
    rows: ClassVar[str] = "sounds"
    one: ClassVar[str] = "a sound"
    example: ClassVar[str] = '"clip.wav"'
    column: ClassVar[str] = "audio"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    beside_rows: ClassVar[tuple[str, ...]] = ("rate", "sample_rate")

    @classmethod
    def specs(cls, settings: Mapping[str, Any], *, pair: bool = False) -> tuple[InputSpec, ...]:
        without_pairs(cls.name, pair)
        of = AudioSettings.of(settings)
        return (
            InputSpec(
                name="waveform", dtype="float32", shape=(of.samples,), positions=of.positions
            ),
        )

    @property
    def longest(self) -> str:
        of = AudioSettings.of(self.settings)
        return f"{of.samples / of.rate:g} seconds"

    def encode(self, rows: Sequence[Any], pairs: Sequence[Any] | None = None) -> Features:
        of = AudioSettings.of(self.settings)
        waveforms, truncated = [], []
        for row in rows:
            sound = samples_of(row, of.rate)
            if len(sound) < of.frame:
                raise InputError(
                    f"{named(row)}: expected a sound of at least a frame of {of.frame} samples at "
                    f"{of.rate} Hz, got {len(sound)}."
                )
            waveforms.append(fitted(sound, of.samples))
            truncated.append(len(sound) > of.samples)
        return Features({"waveform": waveforms}, truncated)

    def checked(
        self, rows: Iterable[Any], pairs: Iterable[Any] | None = None
    ) -> tuple[list[Any], list[Any] | None]:
        if isinstance(rows, Path):
            raise TypeError(f"Expected a list of {self.rows}, got one path; put it in a list.")
        found, _ = super().checked(rows, pairs)
        return [_raw(row, f"place {place}") for place, row in enumerate(found, start=1)], None

    def beside(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self.log_mel is None or "waveform" not in arrays:
            return {}
        return {LOG_MEL: self.log_mel(arrays["waveform"])}

    def spec_beside(self, name: str) -> InputSpec:
        if self.log_mel is None or name != LOG_MEL:
            return super().spec_beside(name)
        return self.log_mel.spec

    def files(self) -> dict[str, bytes]:
        return {} if self.log_mel is None else {LOG_MEL_FILE: self.log_mel.stored.to_bytes()}

    @classmethod
    def file_names(cls) -> frozenset[str]:
        return frozenset({LOG_MEL_FILE})

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], *, max_length: int, settings: Mapping[str, Any]
    ) -> Self:
        made = {}
        if LOG_MEL_FILE in files:
            of = AudioSettings.of(settings)
            stored = StoredScale.from_bytes(files[LOG_MEL_FILE], of.mels)
            made["log_mel"] = IntegerLogMel(of, stored)
        return cls(max_length=max_length, settings=settings, **made)

    def limit(self) -> str:
        of = AudioSettings.of(self.settings)
        return (
            f"It reads {of.samples / of.rate:.3g} seconds of sound at {of.rate} Hz, to which other "
            "rates are resampled; of what is longer the middle."
        )

    @classmethod
    def read_row(cls, value: Any, place: str, folder: Path | None = None) -> Any:
        if not isinstance(value, str | Path):
            return _raw(value, place)
        return row_file(value, place, folder, "sound")


def _raw(row: Any, place: str) -> Any:
    """A caller's row: a path, bytes, an array, or a pair of one and its rate."""
    if isinstance(row, str | Path | bytes):
        return row
    is_pair = isinstance(row, tuple | list) and len(row) == 2 and np.ndim(row[0]) > 0
    samples = np.asarray(row[0] if is_pair else row)
    if samples.ndim not in (1, 2) or (samples.dtype != np.int16 and samples.dtype.kind != "f"):
        raise InputError(
            f"{place}: expected the path of a sound, its bytes, samples as int16 or as floats from "
            f"-1 to 1, or a pair of these and their rate, got {named(row)}."
        )
    check_levels(samples, place)
    if not is_pair:
        return samples
    with placed(place):
        return samples, checked_rate(row[1])


def samples_of(row: Any, rate: int) -> np.ndarray:
    """Returns the samples (n,) of a checked row at a rate in Hz."""
    if isinstance(row, tuple):
        return sound_of(row[0], rate, row[1])
    return sound_of(row, rate) if isinstance(row, np.ndarray) else read_sound(row, rate)
