"""Sounds as sequences: log-mel spectrograms of samples, computed in the graph."""

import keras
import numpy as np
from keras import ops

from keras_transformer.quantization import QuantizedLayer

# Power below which a band is silence, 100 dB below a tone of full scale in a frame of 480 samples.
FLOOR = 1e-6
# Mean and deviation of the logarithms that a model starts with: those of speech at usual levels.
_MEAN, _DEVIATION = -5.0, 4.0
# The smallest deviation of a band: one that is silent in all sounds has none.
_LEAST_DEVIATION = 0.1


class MelPowers(QuantizedLayer):
    """Base of log-mel spectrograms: the powers of a clip's frames in mel bands.

    Frame `t` begins at sample `t * hop`; only frames that lie within the samples are computed.

    The transform is computed as two small matrix products (Cooley and Tukey 1965): one over every
    `N2`-th sample, and after a rotation one over their results. Their constants are a tenth of the
    single product's, which would be larger than a small model. Only matrix products and ops on
    single numbers are used, which TFLite has everywhere, in float.

    Args:
        frame: length of a frame in samples.
        hop: samples from one frame to the next, at most a frame.
        mels: number of bands.

    Attributes:
        constants: matrices of the products, which stay float32 where kernels are rounded.
    """

    def __init__(self, frame, hop, mels, **kwargs):
        super().__init__(**kwargs)
        # Squares of samples in half precision would be zeros.
        self.autocast = False
        self.frame = frame
        self.hop = hop
        self.mels = mels

    def _build_powers(self, rows, columns, bands):
        """Makes the constants of a transform of `rows * columns` samples, at least a frame.

        Args:
            rows, columns: see `fourier`.
            bands: weights (length / 2 + 1, mels) of the transform's powers in the bands.
        """
        self.sizes = rows, columns
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.frame) / self.frame)
        self.window = np.pad(window, (0, rows * columns - self.frame)).astype("float32")
        self.first, self.turn, self.second = fourier(rows, columns)
        places = places_of(rows, columns)
        # Of two places with the same power the first counts.
        _, firsts = np.unique(places, return_index=True)
        self.bands = np.zeros((places.size, self.mels), "float32")
        self.bands[firsts] = bands[places.ravel()[firsts]]
        self.constants = self.first, self.second, self.bands
        # Where a file's products are compared with the model's; they are never rounded.
        names = ("samples_point", "transform_point", "bands_point")
        self.points = [self._point(name, None, dtype="float32") for name in names]

    def powers(self, inputs):
        """Returns the powers (B, frames, mels) of samples (B, samples), in float32."""
        x = ops.multiply(self._frames(ops.cast(inputs, "float32")), self.window)
        (rows, columns), frames = self.sizes, x.shape[1]
        kept = rows // 2 + 1
        x = ops.transpose(ops.reshape(x, (-1, frames, rows, columns)), (0, 1, 3, 2))
        x = self._product(ops.reshape(x, (-1, frames * columns, rows)), 0)
        x = ops.reshape(x, (-1, frames, columns, 2 * kept))
        # A sum of both parts, each multiplied by its own: (a + bi)(c + di).
        exchanged = ops.concatenate([x[..., kept:], x[..., :kept]], axis=-1)
        x = ops.multiply(x, self.turn[0]) + ops.multiply(exchanged, self.turn[1])
        x = ops.reshape(x, (-1, frames, 2 * columns, kept))
        x = ops.transpose(x, (0, 1, 3, 2))
        x = self._product(ops.reshape(x, (-1, frames * kept, 2 * columns)), 1)
        x = ops.square(x)
        x = x[..., :columns] + x[..., columns:]
        return self._product(ops.reshape(x, (-1, frames, kept * columns)), 2)

    def _product(self, x, place):
        return self.points[place](ops.matmul(x, self.constants[place]))

    def _frames(self, x):
        """(B, frames, length of the transform) of (B, samples), with what follows a frame in it."""
        samples, length = x.shape[1], len(self.window)
        frames, pieces = 1 + (samples - self.frame) // self.hop, -(-self.frame // self.hop)
        blocks = frames + pieces - 1
        missing = blocks * self.hop - samples
        x = ops.pad(x, ((0, 0), (0, missing))) if missing > 0 else x[:, : blocks * self.hop]
        x = ops.reshape(x, (-1, blocks, self.hop))
        x = ops.concatenate([x[:, one : one + frames] for one in range(pieces)], axis=-1)
        missing = length - pieces * self.hop
        return ops.pad(x, ((0, 0), (0, 0), (0, missing))) if missing > 0 else x[..., :length]


@keras.saving.register_keras_serializable(package="keras_transformer")
class LogMel(MelPowers):
    """A normalized log-mel spectrogram: `(log(max(mel(|DFT(window x)|^2), 1e-6)) - mean) / dev`.

    The window is a periodic Hann window, the transform's length the next power of 2. The bands are
    triangles in Hz with edges that are equally far from each other in mels of
    `2595 log10(1 + f / 700)`, and heights of 1: those of `torchaudio.transforms.MelSpectrogram`
    (`center=False`), and of `librosa.feature.melspectrogram` with `htk=True, norm=None,
    center=False`. `mean` and `deviation` (mels,) are weights that are not trained, see `learn`.

    Args:
        rate: samples a second, in Hz.
        frame, hop, mels: see `MelPowers`.
        low, high: lower edge of the lowest and upper edge of the highest band, in Hz.
        patch_frames: number of frames in a row that become one vector; a last patch that is not
            full is left out.
        class_token: whether a vector of zeros comes before all others, in the place of
            `patches.PatchPositions`' token.
    """

    def __init__(
        self, rate, frame, hop, mels, low, high, *, patch_frames=1, class_token=False, **kwargs
    ):
        super().__init__(frame, hop, mels, **kwargs)
        self.rate = rate
        self.low = low
        self.high = high
        self.patch_frames = patch_frames
        self.class_token = class_token

    def build(self, input_shape):
        length = 1 << (self.frame - 1).bit_length()
        rows = 1 << (length.bit_length() // 2)
        bands = mel_bands(length, self.rate, self.mels, self.low, self.high)
        self._build_powers(rows, length // rows, bands)
        for name, value in (("mean", _MEAN), ("deviation", _DEVIATION)):
            weight = self.add_weight(
                name=name, shape=(self.mels,), initializer=keras.initializers.Constant(value),
                trainable=False, autocast=False, dtype="float32",
            )  # fmt: skip
            setattr(self, name, weight)

    def learn(self, batches):
        """Sets each band's mean and deviation to those of the logarithms in training data.

        Digital silence, which pads short sounds, does not count.

        Args:
            batches: iterable of samples (B, samples) each.
        """
        count, total, squares = (np.zeros(self.mels) for _ in range(3))
        silence = np.log(np.float32(FLOOR)) + 1e-3
        for samples in batches:
            found = ops.convert_to_numpy(self.logarithms(ops.convert_to_tensor(samples)))
            found = found.reshape(-1, self.mels).astype(float)
            found = found[(found > silence).any(axis=1)]
            count += len(found)
            total += found.sum(axis=0)
            squares += np.square(found).sum(axis=0)
        if not count.any():
            return
        mean = total / count
        variance = np.maximum(squares / count - np.square(mean), 0)
        self.mean.assign(mean)
        self.deviation.assign(np.maximum(np.sqrt(variance), _LEAST_DEVIATION))

    def call(self, inputs):
        """Returns (B, T, patch_frames * mels) for samples (B, samples) from -1 to 1.

        T is the number of patches, and one more with a class token.
        """
        x = self.logarithms(inputs)
        x = (x - ops.convert_to_tensor(self.mean)) * (1.0 / ops.convert_to_tensor(self.deviation))
        patches = x.shape[1] // self.patch_frames
        if self.patch_frames > 1:
            x = x[:, : patches * self.patch_frames]
            x = ops.reshape(x, (-1, patches, self.patch_frames * self.mels))
        x = ops.pad(x, ((0, 0), (1, 0), (0, 0))) if self.class_token else x
        return ops.cast(x, self.compute_dtype)

    def logarithms(self, inputs):
        """Returns the logarithms (B, frames, mels) before they are normalized, in float32."""
        return ops.log(ops.maximum(self.powers(inputs), FLOOR))

    def compute_output_spec(self, inputs):
        frames = 1 + (inputs.shape[1] - self.frame) // self.hop
        places = frames // self.patch_frames + self.class_token
        shape = (inputs.shape[0], places, self.patch_frames * self.mels)
        return keras.KerasTensor(shape, self.compute_dtype)


def mel_bands(length, rate, mels, low, high):
    """Returns the weights (length / 2 + 1, mels) of a transform's powers in mel bands."""
    ends = 2595 * np.log10(1 + np.array([low, high]) / 700)
    return triangles(700 * (10 ** (np.linspace(*ends, mels + 2) / 2595) - 1), length, rate)


def triangles(edges, length, rate):
    """Returns the weights (length / 2 + 1, bands) of triangles of height 1.

    Args:
        edges: (bands + 2,) in Hz; a band rises from one to the next, and falls to the one after it.
        length: length of the transform.
        rate: samples a second, in Hz.
    """
    frequencies = np.arange(length // 2 + 1)[:, None] * rate / length
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def fourier(rows, columns):
    """Returns the constants of a Fourier transform of `rows * columns` real numbers in two steps.

    With `n = columns * n1 + n2` and `k = k1 + rows * k2` a transform is
    `sum over n2 of e(n2 k2 / columns) e(n2 k1 / N) sum over n1 of e(n1 k1 / rows) x[n]`, where
    `e(a) = exp(-2 pi i a)`. Of real numbers `k1` up to `rows / 2` are enough: the others are
    conjugates.

    Returns:
        The first matrix (rows, 2 K), for K values of `k1`, their real parts first; the factors
        (2, columns, 2 K) of its results and of these with both parts exchanged; and the second
        matrix (2 columns, 2 columns), which reads, for each `n2`, what belongs to both parts.
    """
    kept = rows // 2 + 1
    angle = 2 * np.pi * np.outer(np.arange(rows), np.arange(kept)) / rows
    first = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)
    angle = 2 * np.pi * np.outer(np.arange(columns), np.arange(kept)) / (rows * columns)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.stack([np.tile(cosine, 2), np.concatenate([sine, -sine], axis=1)])
    angle = 2 * np.pi * np.outer(np.arange(columns), np.arange(columns)) / columns
    real = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)
    imaginary = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    second = np.stack([real, imaginary], axis=1).reshape(2 * columns, 2 * columns)
    return first.astype("float32"), turn.astype("float32"), second.astype("float32")


def places_of(rows, columns):
    """Returns the frequencies (K, columns) of what `fourier` computes, up to half its length."""
    length = rows * columns
    place = np.arange(rows // 2 + 1)[:, None] + rows * np.arange(columns)
    return np.minimum(place, length - place)
