"""Normalization over the hidden axis.

Means are computed as a sum of `x * (1/D)`: the TFLite converter would turn the first `mean` of a
quantized graph into an int8 MEAN, which training did not simulate. Gamma multiplies the factor of
a row first: if it came last, it would be fused into the kernels after the norm, which would then
leave their grids. With `inner_bits` every step is a stored integer, and a mean is a MEAN.
"""

from functools import partial

import keras
from keras import ops

from keras_transformer.quantization import QuantizedLayer


@ops.custom_gradient
def _inverse_root(x):
    """Returns `1 / sqrt(x)` of stored values x, which may be 0; its gradient there is 0."""
    root = ops.rsqrt(x)
    positive = x > 0.0

    def gradient(*args, upstream=None):
        if upstream is None:  # PyTorch names it, the other backends do not
            (upstream,) = args
        safe = ops.where(positive, x, 1.0)
        return ops.where(positive, -0.5 * upstream * ops.rsqrt(safe) / safe, 0.0)

    return root, gradient


class _Norm(QuantizedLayer):
    """Base of both norms.

    Args:
        epsilon: constant added before the square root.
        factor: constant factor of gamma.
        reads_projection: whether the inputs are a projection's outputs as they are.
        bits: bit widths; with `inner_bits` epsilon is left out, because the stored values bound
            the root. Other widths have no effect on the result.
    """

    has_beta = False
    inner_points = ("square", "mean_square", "inverse", "normal", "gamma")

    def __init__(
        self, *, epsilon=1e-6, factor=1.0, reads_projection=False, bits=None, **kwargs
    ):
        super().__init__(bits=bits, **kwargs)
        self.reads_projection = reads_projection
        self.epsilon = epsilon
        self.factor = factor

    def build(self, input_shape):
        self.gamma = self.add_weight(
            name="gamma", shape=(input_shape[-1],), initializer="ones", autocast=False
        )
        if self.has_beta:
            self.beta = self.add_weight(
                name="beta", shape=(input_shape[-1],), initializer="zeros", autocast=False
            )
        self.points = {}
        for name in self.inner_points if self.inner_bits is not None else ():
            self.points[name] = self._point(f"{name}_point", self.inner_bits, dtype="float32")

    def _gamma(self, dtype):
        gamma = ops.cast(self.gamma, dtype)
        return gamma if self.factor == 1.0 else gamma * self.factor

    def _stored(self, name, values, training):
        return self.points[name](values, training=training)

    def _divided_by_root(self, x, training):
        """`x / sqrt(mean(x**2))` in stored integers."""
        stored = partial(self._stored, training=training)
        mean = ops.mean(self._squared(x, training), axis=-1, keepdims=True)
        mean_square = stored("mean_square", mean)
        inverse = stored("inverse", self._root_of_stored(mean_square))
        return stored("normal", x * inverse)

    def _squared(self, x, training):
        if not self.reads_projection:
            return self._stored("square", x * x, training)
        # The converter would square a projection's outputs before it stores them; it does not know
        # them in another shape.
        shape = ops.shape(x)
        rows = ops.reshape(x, (*shape[:2], -1))
        square = self._stored("square", ops.expand_dims(rows, 0) * rows, training)
        return ops.reshape(square, shape)

    def _root_of_stored(self, mean_square):
        root, point = _inverse_root(mean_square), self.points["inverse"]
        if point.tracker is None:
            return root
        # A device returns the highest stored value for a stored 0, and so does the rounding of
        # infinity; calibration must not see it.
        highest = ops.stop_gradient(ops.cast(point.range_max, root.dtype))
        return ops.where(mean_square > 0.0, root, highest)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class LayerNorm(_Norm):
    """`y = factor * gamma * (x - mean) / sqrt(variance + epsilon) + beta`.

    Ba et al. 2016, arXiv:1607.06450, section 3. Inputs and outputs are (..., D). Under mixed
    precision it computes in float32, with weights that are not rounded to a narrower type.
    """

    has_beta = True
    inner_points = ("mean", "centred", *_Norm.inner_points, "scaled", "beta")

    def call(self, inputs, training=None):
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        x = ops.cast(inputs, dtype)
        if self.inner_bits is not None:
            return ops.cast(self._of_integers(x, training), self.compute_dtype)
        share = 1.0 / x.shape[-1]
        centred = x - ops.sum(x * share, axis=-1, keepdims=True)
        variance = ops.sum(ops.square(centred) * share, axis=-1, keepdims=True)
        factor = ops.rsqrt(variance + self.epsilon) * self._gamma(dtype)
        beta = ops.cast(self.beta, dtype)
        if self.rounds_rows:
            # The converter would fold a vector into the bias of the next projection, and the
            # runtime would round that projection's inputs before beta is added.
            beta = ops.expand_dims(beta, 0)
        y = centred * factor + beta
        return ops.cast(y, self.compute_dtype)

    def _of_integers(self, x, training):
        stored = partial(self._stored, training=training)
        mean = stored("mean", ops.mean(x, axis=-1, keepdims=True))
        normal = self._divided_by_root(stored("centred", x - mean), training)
        gamma = stored("gamma", self._gamma("float32"))
        beta = stored("beta", ops.cast(self.beta, "float32"))
        return stored("scaled", normal * gamma) + beta


@keras.saving.register_keras_serializable(package="keras_transformer")
class RMSNorm(_Norm):
    """`y = factor * gamma * x / sqrt(mean(x**2) + epsilon)`.

    Zhang and Sennrich 2019, arXiv:1910.07467. Inputs and outputs are (..., D). Precision is as in
    `LayerNorm`.
    """

    def call(self, inputs, training=None):
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        x = ops.cast(inputs, dtype)
        if self.inner_bits is not None:
            gamma = self._stored("gamma", self._gamma("float32"), training)
            return ops.cast(self._divided_by_root(x, training) * gamma, self.compute_dtype)
        mean_square = ops.sum(ops.square(x) * (1.0 / x.shape[-1]), axis=-1, keepdims=True)
        y = x * (ops.rsqrt(mean_square + self.epsilon) * self._gamma(dtype))
        return ops.cast(y, self.compute_dtype)


NORMS = {"layer_norm": LayerNorm, "rms_norm": RMSNorm}


def make_norm(kind, **kwargs):
    """Returns the normalization layer with the given name.

    Raises:
        ValueError: if the name is unknown.
    """
    if kind not in NORMS:
        raise ValueError(f"Expected norm to be one of {', '.join(NORMS)}, got norm={kind!r}.")
    return NORMS[kind](**kwargs)
