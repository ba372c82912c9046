"""Windows over a stream of samples that arrives in chunks of any size: a ring buffer."""

from collections.abc import Iterator

import numpy as np


class Windows:
    """The last samples of a stream: the first window once it is full, the next ones at every hop.

    Args:
        samples: length of a window.
        hop: samples from the end of one window to the end of the next, at most a window.

    Attributes:
        read: number of samples so far.
    """

    def __init__(self, samples: int, hop: int):
        self._ring = np.zeros(samples, np.float32)
        self._hop, self._due = hop, samples
        self.read = 0

    def feed(self, chunk: np.ndarray) -> Iterator[np.ndarray]:
        """Yields each window (samples,) that the chunk (n,) completes, once it does.

        `read` is then the place of its end.
        """
        length = len(self._ring)
        while len(chunk):
            part = chunk[: self._due - self.read]
            chunk = chunk[len(part) :]
            self._ring[(self.read + np.arange(len(part))) % length] = part
            self.read += len(part)
            if self.read == self._due:
                self._due += self._hop
                # The next to be overwritten is the oldest.
                yield np.roll(self._ring, -(self.read % length))
