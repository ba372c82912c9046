"""Windows over chunks of any size are those of the whole stream."""

import numpy as np
import pytest

from keras_transformer.zoo.streaming.windows import Windows


@pytest.mark.parametrize(("samples", "hop"), [(10, 3), (10, 10), (7, 1), (64, 20)])
def test_windows_of_chunks(samples, hop):
    rng = np.random.default_rng(0)
    stream = rng.normal(size=207).astype(np.float32)
    expected = {end: stream[end - samples : end] for end in range(samples, len(stream) + 1, hop)}
    for sizes in ([1] * 207, [207], [0, 5, 0, 150, 2, 50], rng.multinomial(207, np.ones(9) / 9)):
        windows, found, start = Windows(samples, hop), {}, 0
        for size in sizes:
            for window in windows.feed(stream[start : start + size]):
                found[windows.read] = window
            start += size
        assert found.keys() == expected.keys()
        for end, window in found.items():
            np.testing.assert_array_equal(window, expected[end])
