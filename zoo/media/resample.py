"""Resampling of sounds by a polyphase filter, in NumPy."""

import math

import numpy as np

from keras_transformer.zoo.errors import InputError

# The low-pass filter reaches over this many samples of the lower rate to both sides, under a Kaiser
# window of this parameter: 60 dB of attenuation.
_REACH, _BETA = 10, 5.0
# The largest factor of a ratio in lowest terms: each takes a filter of its own.
_MOST_PHASES = 1 << 16


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Returns a sound at another rate.

    The result is sampled from the convolution of the sound with the ideal low-pass filter of the
    lower rate under a Kaiser window (Oppenheim and Schafer, Discrete-Time Signal Processing,
    sections 4.6 and 7.5). Of the filter only those taps are computed that meet a sample.

    Args:
        samples: (n,) of floats.
        rate: rate of the samples in Hz.
        wanted: rate to return, in Hz.

    Returns:
        float32 (ceil(n * wanted / rate),).

    Raises:
        InputError: if the ratio of the rates in lowest terms is of too large numbers.
    """
    divisor = math.gcd(rate, wanted)
    up, down = wanted // divisor, rate // divisor
    if up == down:
        return np.asarray(samples, np.float32)
    if max(up, down) > _MOST_PHASES:
        raise InputError(
            f"Expected rates in Hz whose ratio is one of numbers up to {_MOST_PHASES}, got "
            f"{rate} and {wanted}."
        )
    taps = _low_pass(max(up, down)) * up
    middle = len(taps) // 2
    length = -(-len(samples) * up // down)
    width = -(-len(taps) // up)
    padded = np.concatenate([np.zeros(width), samples, np.zeros(width + down)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    result = np.empty(length, np.float32)
    for first in range(min(up, length)):
        # Output `first + up * m` lies `down * m` samples after output `first`.
        place, phase = divmod(first * down + middle, up)
        own = np.zeros(width)
        found = taps[phase::up]
        own[: len(found)] = found
        count = len(result[first::up])
        start = place - width + 1 + width
        result[first::up] = windows[start :: down][:count] @ own[::-1]
    return result


def _low_pass(factor: int) -> np.ndarray:
    """The taps of the filter at `factor` times the lower rate, whose sum is 1."""
    reach = _REACH * factor
    places = np.arange(-reach, reach + 1)
    taps = np.sinc(places / factor) * np.kaiser(2 * reach + 1, _BETA)
    return taps / taps.sum()
