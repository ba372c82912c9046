"""Speech as Whisper reads it: a scaled log-mel spectrogram, and convolutions of its frames.

Radford et al. 2022, arXiv:2212.04356, section 2.2.
"""

import keras
import numpy as np
from keras import ops

from keras_transformer.decisions import WIDE_BITS
from keras_transformer.feedforward import Activated
from keras_transformer.frames import MelPowers, triangles
from keras_transformer.low_rank import make_projection
from keras_transformer.patches import gathered_windows
from keras_transformer.quantization import QuantizedLayer

# Power of silence, and how far below the loudest band of a clip all is taken for as loud, in bels.
_FLOOR, _RANGE = 1e-10, 8.0
# Frames that a convolution reads: one, and its neighbours.
_KERNEL = 3


@keras.saving.register_keras_serializable(package="keras_transformer")
class ScaledLogMel(MelPowers):
    """The log-mel spectrogram of a clip: `(max(y, max(y) - 8) + 4) / 4` of `y = log10(powers)`.

    A frame has its center at sample `t * hop`, before the first and after the last sample the clip
    is reflected, and there are `samples / hop` frames. The window is a periodic Hann window, and
    the transform as long as a frame. The bands are those of `slaney_bands`: of
    `librosa.feature.melspectrogram(center=True, pad_mode="reflect")` without its last frame.

    Args:
        rate: samples a second, in Hz.
        frame: length of a frame in samples, an even number.
        hop: samples from one frame to the next, at most half of a frame.
        mels: number of bands.
    """

    def __init__(self, rate, frame, hop, mels, **kwargs):
        super().__init__(frame, hop, mels, **kwargs)
        self.rate = rate

    def build(self, input_shape):
        halves = [n for n in range(2, self.frame + 1, 2) if self.frame % n == 0]
        rows = min(halves, key=lambda n: n + self.frame // n)
        self._build_powers(
            rows, self.frame // rows, slaney_bands(self.frame, self.rate, self.mels)
        )

    def call(self, inputs):
        """Returns (B, samples / hop, mels) for samples (B, samples) from -1 to 1."""
        before, after = self.frame // 2, self.frame // 2 - self.hop
        samples = inputs.shape[1]
        # Two gathers in place of a reversal, which not every runtime has.
        left = ops.take(inputs, np.arange(before, 0, -1), axis=1)
        right = ops.take(inputs, np.arange(samples - 2, samples - 2 - after, -1), axis=1)
        x = self.powers(ops.concatenate([left, inputs, right] if after else [left, inputs], axis=1))
        x = ops.log(ops.maximum(x, _FLOOR)) * float(1 / np.log(10))
        x = ops.maximum(x, ops.max(x, axis=(1, 2), keepdims=True) - _RANGE)
        return ops.cast(0.25 * x + 1.0, self.compute_dtype)

    def compute_output_spec(self, inputs):
        shape = (inputs.shape[0], inputs.shape[1] // self.hop, self.mels)
        return keras.KerasTensor(shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_transformer")
class FrameConvolution(Activated):
    """`f(conv(x))` over each frame and its neighbours, zeros beyond the ends.

    The convolution is computed as a projection of the three frames side by side, so that its kernel
    (3 C, units) is stored, rounded and factored as any projection's is. With a stride of 2 the
    windows are around frames 0, 2, 4, ..., as with PyTorch's `padding=1`.

    Args:
        units: width of the outputs.
        stride: 1, or 2 for every second frame, of an even number of them.
        activation: see `FeedForward`.
        rank: rank of the low-rank factors of the kernel that they make smaller; 0 for none.
        bits: bit widths, see `QuantizedLayer`; a kernel that blocks do not divide has 8 bits and
            none.

    Raises:
        ValueError: if the activation is unknown.
    """

    def __init__(self, units, *, stride=1, activation="gelu", rank=0, bits=None, **kwargs):
        super().__init__(bits=bits, **kwargs)
        self._check_activation(activation)
        self.units = units
        self.stride = stride
        self.activation = activation
        self.rank = rank

    def build(self, input_shape):
        batch, frames, width = input_shape
        inputs, bits = _KERNEL * width, self.bits
        if self.kernel_block is not None and inputs % self.kernel_block:
            # Of 80 bands no whole number of blocks can be made.
            bits = {**bits, "kernel_bits": WIDE_BITS, "kernel_block": None}
        self.projection = make_projection(
            self.units, inputs, rank=self.rank, bits=bits, dtype=self.dtype_policy,
            name="projection",
        )  # fmt: skip
        self.projection.build((batch, frames // self.stride, inputs))
        self.projection_point = self._point("projection_point", self._projected_bits)
        self._build_activation()

    def call(self, inputs, training=None):
        """Returns (B, T / stride, units) for (B, T, C)."""
        x = self.projection_point(self.projection(self._windows(inputs)), training=training)
        return self.activation_point(self._activate(x, training), training=training)

    def _windows(self, x):
        """(B, T / stride, 3 C): the frame before, the frame, and the frame after it."""
        frames, width = x.shape[1:]
        if (self.activation_bits or 0) > WIDE_BITS:
            count = frames // self.stride
            x = ops.pad(x, ((0, 0), (1, 2 - self.stride), (0, 0)))
            x = gathered_windows(x, count, _KERNEL, self.stride)
            return ops.reshape(x, (-1, count, _KERNEL * width))
        if self.stride == 2:
            x = ops.reshape(x, (-1, frames // 2, 2 * width))
            before = ops.pad(x[:, :-1, width:], ((0, 0), (1, 0), (0, 0)))
            return ops.concatenate([before, x], axis=-1)
        x = ops.pad(x, ((0, 0), (1, 1), (0, 0)))
        return ops.concatenate([x[:, one : one + frames] for one in range(_KERNEL)], axis=-1)

    def compute_output_shape(self, input_shape):
        batch, frames, _ = input_shape
        return batch, frames // self.stride, self.units


@keras.saving.register_keras_serializable(package="keras_transformer")
class FramePositions(QuantizedLayer):
    """Adds to (B, T, D) a table of positions, at first sines and then cosines; it is not trained.

    Args:
        bits: `inner_bits` is the width of the table.
    """

    def build(self, input_shape):
        _, length, width = input_shape
        table = sines_then_cosines(length, width)
        self.embeddings = self.add_weight(
            name="embeddings", shape=(length, width), trainable=False,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(table, dtype),
        )  # fmt: skip
        self.point = self._point("point", self.inner_bits)

    def call(self, inputs, training=None):
        """Returns (B, T, D) for (B, T, D)."""
        table = ops.cast(ops.convert_to_tensor(self.embeddings), self.compute_dtype)
        return inputs + self.point(table, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape


def sines_then_cosines(length, width, max_wavelength=10_000.0):
    """Returns the (length, width) table of Whisper's positions: sines in the first half."""
    half = width // 2
    rates = max_wavelength ** (-np.arange(half) / max(1, half - 1))
    angle = np.arange(length)[:, None] * rates
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype("float32")


def slaney_bands(length, rate, mels):
    """Returns the weights (length / 2 + 1, mels) of Slaney's mel bands up to half of the rate.

    Mels are `3 f / 200` up to 1000 Hz and logarithmic above, 27 to a factor of 6.4; the bands are
    triangles of one area (Slaney 1998, Auditory Toolbox; `librosa.filters.mel`).
    """
    step = np.log(6.4) / 27
    top = rate / 2
    last = 15 + np.log(top / 1000) / step if top >= 1000 else 3 * top / 200
    edges = np.linspace(0, last, mels + 2)
    edges = np.where(edges < 15, 200 * edges / 3, 1000 * np.exp(step * (edges - 15)))
    heights = 2 / (edges[2:] - edges[:-2])
    return heights * triangles(edges, length, rate)
