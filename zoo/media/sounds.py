"""Sounds from files, bytes and arrays as samples of one channel, rate and length."""

import contextlib
import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.errors import InputError, no_file
from keras_transformer.zoo.media.class_folders import named_file
from keras_transformer.zoo.media.resample import resampled
from keras_transformer.zoo.printable import shortened_value

SUFFIXES = (".wav", ".flac")
_FORMATS = ("WAV", "WAVEX", "FLAC")
# Samples of the longest sound that is decoded, of all channels: a small file may claim any number.
MOST_SAMPLES = 1 << 28
MOST_RATE = 768_000
# As many as the formats of sound files have in practice; more are samples in the wrong axis.
MOST_CHANNELS = 256
# Recordings as floats may pass full scale a little; integers that are stored as floats are far off.
MOST_LEVEL = 2.0
# Size of the samples in a WAV file whose writer did not know it, such as a pipe.
_UNKNOWN_SIZE = 0xFFFFFFFF


def sound_length(source: Any) -> tuple[int, int | None]:
    """Returns the number of samples of each channel, and the rate in Hz if it is known.

    A file is not decoded.

    Args:
        source: path, bytes of a file, samples, or a pair of samples and their rate.

    Raises:
        FileNotFoundError, InputError: see `read_sound`.
    """
    if isinstance(source, tuple):
        return len(source[0]), source[1]
    if isinstance(source, np.ndarray):
        return len(source), None
    with _opened(source) as sound:
        return sound.frames, sound.samplerate


def read_sound(source: str | Path | bytes, rate: int) -> np.ndarray:
    """Decodes a WAV or FLAC file; the mean of its channels, at another rate where it has another.

    Args:
        source: path, or the bytes of a file.
        rate: rate to return, in Hz.

    Returns:
        float32 (n,), 1 being full scale.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such sound, truncated, empty, longer than `MOST_SAMPLES`, or has
            samples that are not finite or beyond `MOST_LEVEL`.
    """
    name = named(source)
    with _opened(source) as sound:
        samples = sound.read(dtype="float32", always_2d=True)
        if len(samples) != sound.frames:
            raise InputError(
                f"{name}: expected a whole sound, got {len(samples)} of the {sound.frames} samples "
                "that its header says; the file is truncated."
            )
        return _one_channel(samples, sound.samplerate, rate, name)


def sound_of(array: Any, rate: int, own_rate: int | None = None) -> np.ndarray:
    """Returns samples in memory as `read_sound` returns those of a file.

    Args:
        array: (n,) or (n, channels), int16, or floats from -1 to 1.
        rate: rate to return, in Hz.
        own_rate: rate of the samples; None for the same.

    Raises:
        InputError: if it is no such array, is empty, has more than `MOST_CHANNELS`, or samples that
            are not finite or beyond `MOST_LEVEL`.
    """
    samples = np.asarray(array)
    if samples.dtype != np.int16 and samples.dtype.kind != "f":
        raise InputError(
            "Expected samples as int16 or as floats from -1 to 1, got an array of "
            f"{samples.dtype}."
        )
    if samples.ndim not in (1, 2):
        raise InputError(
            f"Expected samples (n,) or (n, channels), got an array of shape {samples.shape}."
        )
    if samples.ndim == 2 and samples.shape[1] > MOST_CHANNELS:
        raise InputError(
            f"Expected samples (n, channels) of at most {MOST_CHANNELS} channels, got an array of "
            f"shape {samples.shape}; transpose one that is (channels, n)."
        )
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / 32_768
    samples = samples[:, None] if samples.ndim == 1 else samples
    return _one_channel(samples, rate if own_rate is None else own_rate, rate, "The array")


def fitted(samples: np.ndarray, length: int) -> np.ndarray:
    """Returns a sound of one length: the middle of a longer one, zeros after a shorter one."""
    if len(samples) >= length:
        start = (len(samples) - length) // 2
        return samples[start : start + length]
    return np.pad(samples, (0, length - len(samples)))


def checked_rate(rate: Any) -> int:
    """Returns a rate in Hz as an integer.

    Raises:
        InputError: if it is none from 1 to `MOST_RATE`.
    """
    is_whole = isinstance(rate, int | np.integer) and not isinstance(rate, bool)
    if not is_whole or not 1 <= rate <= MOST_RATE:
        raise InputError(
            f"Expected a rate in Hz to be an integer from 1 to {MOST_RATE}, got "
            f"{rate.item() if isinstance(rate, np.generic) else rate!r}."
        )
    return int(rate)


def named(source: Any) -> str:
    """Returns a raw sound in messages: its path, or its kind."""
    if isinstance(source, str | Path):
        return named_file(source)
    if isinstance(source, bytes):
        return "the bytes"
    if isinstance(source, np.ndarray):
        return f"an array of {source.dtype}, shape {source.shape}"
    if isinstance(source, tuple | list) and len(source) == 2 and isinstance(source[0], np.ndarray):
        return f"{named(source[0])}, with the rate {source[1]}"
    return f"{type(source).__name__} {shortened_value(source)}"


@contextlib.contextmanager
def _opened(source):
    """A sound of which only the header was read; what its decoder raises is an InputError."""
    soundfile = _soundfile()
    is_bytes, name = isinstance(source, bytes), named(source)
    if not is_bytes and os.path.isdir(source):
        raise InputError(f"{name}: expected a sound, got a folder.")
    if not is_bytes and not os.path.lexists(source):
        raise no_file(source)
    try:
        with (
            io.BytesIO(source) if is_bytes else open(source, "rb") as file,
            soundfile.SoundFile(file) as sound,
        ):
            if sound.format not in _FORMATS:
                raise InputError(f"{name}: expected a WAV or FLAC file, got {sound.format}.")
            checked_rate(sound.samplerate)
            if not 0 <= sound.frames * sound.channels <= MOST_SAMPLES:
                raise InputError(
                    f"{name}: expected a sound of at most {MOST_SAMPLES} samples, got "
                    f"{sound.frames} of {sound.channels} channels."
                )
            if sound.format != "FLAC":
                _check_whole(source, name)
            yield sound
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{name}: expected a WAV or FLAC file, got what cannot be decoded "
            f"({error.error_string.rstrip('.')})."
        ) from None


def _check_whole(source, name):
    """Raises InputError if a WAV file ends before its samples do: its decoder returns the rest."""
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(12)
        while len(header := file.read(8)) == 8:
            kind, length = struct.unpack("<4sI", header)
            if kind == b"data":
                there = size - file.tell()
                if there < length != _UNKNOWN_SIZE:
                    raise InputError(
                        f"{name}: expected a whole sound, got {there} of the {length} bytes that "
                        "its header says; the file is truncated."
                    )
                return
            # Chunks start at even places.
            file.seek(length + length % 2, io.SEEK_CUR)


def _one_channel(samples, own_rate, rate, name):
    """(n,) at a rate from (n, channels) at their own."""
    if not samples.size:
        raise InputError(f"{name}: expected a sound, got one without samples.")
    check_levels(samples, name)
    mean = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    return resampled(mean.astype(np.float32), checked_rate(own_rate), rate)


def check_levels(samples: np.ndarray, name: str) -> None:
    """Raises InputError with a name if samples are not finite or beyond `MOST_LEVEL`."""
    if samples.dtype == np.int16 or not samples.size:
        return
    if not np.isfinite(samples).all():
        odd = samples[~np.isfinite(samples)]
        raise InputError(
            f"{name}: expected finite samples, got {odd[0]:g} in {len(odd)} of {samples.size}."
        )
    if (level := np.abs(samples).max()) > MOST_LEVEL:
        raise InputError(
            f"{name}: expected samples from -1 to 1, got one of size {level:g}; divide by that of "
            "full scale."
        )


def _soundfile():
    """The module soundfile, an extra that sounds in files need."""
    try:
        import soundfile
    # OSError: its library libsndfile is missing.
    except (ModuleNotFoundError, OSError) as error:
        raise InputError(
            f"Expected soundfile to read sounds, which cannot be imported ({error}): pip install "
            "'keras-transformer-zoo[sound]'."
        ) from None
    return soundfile
