"""Resampling equals SciPy's."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.media.resample import resampled


@pytest.mark.parametrize("rate, wanted", [
    (44_100, 16_000), (48_000, 16_000), (8_000, 16_000), (16_000, 8_000), (22_050, 16_000),
    (11_025, 8_000), (16_000, 44_100), (16_000, 16_000), (7, 3),
])  # fmt: skip
@pytest.mark.parametrize("length", [1, 2, 5, 100, 4_001])
def test_equals_scipy(rate, wanted, length):
    sound = np.random.default_rng(length).uniform(-1, 1, length).astype("float32")
    found = resampled(sound, rate, wanted)
    divisor = np.gcd(rate, wanted)
    expected = resample_poly(sound.astype(float), wanted // divisor, rate // divisor)
    assert found.dtype == np.float32
    # The same filter in float64; the result is rounded to float32.
    np.testing.assert_allclose(found, expected, atol=2e-7)


def test_a_tone_stays_and_what_the_lower_rate_cannot_hold_is_gone():
    time = np.arange(48_000) / 48_000
    found = resampled(np.sin(2 * np.pi * 1_000 * time), 48_000, 16_000)
    # Away from the ends, where the sound begins and stops at once; the window lets 60 dB through.
    expected = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(found[100:-100], expected[100:-100], atol=2e-3)
    high = resampled(np.sin(2 * np.pi * 12_000 * time), 48_000, 16_000)
    assert np.abs(high[100:-100]).max() < 2e-3


def test_rates_without_a_common_divisor_are_refused():
    with pytest.raises(InputError, match="got 65537 and 100003"):
        resampled(np.zeros(10), 65_537, 100_003)
