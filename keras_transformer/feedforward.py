"""The position-wise feed-forward layer, plain and gated."""

import keras
from keras import ops

from keras_transformer.activations import ACTIVATIONS, SIGMOID_SLOPES
from keras_transformer.bits import dynamic_bits, unit_range
from keras_transformer.dropout import Dropout
from keras_transformer.low_rank import make_projection
from keras_transformer.normalization import make_norm
from keras_transformer.quantization import QuantizedLayer


class Activated(QuantizedLayer):
    """Base of the layers that activate what they project; `activation` is a name of `ACTIVATIONS`.

    With `inner_bits`, or activations of more than 8 bits, gelu and silu are computed as
    `x * sigmoid(slope * x)`, whose ops such a device supports. relu is part of the projection
    before it, and hard_silu one op of 8 bits.
    """

    def _check_activation(self, activation):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"Expected activation to be one of {', '.join(ACTIVATIONS)}, "
                f"got activation={activation!r}."
            )

    @property
    def _projected_bits(self):
        """The width of what is activated: a relu is fused into the projection before it."""
        return None if self.activation == "relu" else self.activation_bits

    def _build_activation(self):
        slope = SIGMOID_SLOPES.get(self.activation)
        self.slope_point = self._point(
            "slope_point", None if slope in (None, 1.0) else self.inner_bits
        )
        self.sigmoid_point = self._point(
            "sigmoid_point", None if slope is None else self.inner_bits,
            **unit_range(self.inner_bits),
        )  # fmt: skip
        self.activation_point = self._point("activation_point", self.activation_bits)

    def _activate(self, x, training):
        """Any shape to the same."""
        is_plain = self.inner_bits is None and (self.activation_bits or 0) <= 8
        if self.activation == "hard_silu" and (self.activation_bits or 0) > 8:
            # One op of 8 bits alone: the converter must not find it, nor a factor that is stored.
            scaled = 2.0 * x
            return scaled * ops.relu6(0.5 * scaled + 3.0) * (1.0 / 12.0)
        if is_plain or self.activation not in SIGMOID_SLOPES:
            return ACTIVATIONS[self.activation](x)
        slope = SIGMOID_SLOPES[self.activation]
        if self.inner_bits is None:
            # The converter would multiply a quantized x by a float: both factors have to be floats.
            scaled = x * (2.0 * slope)
            return scaled * ops.sigmoid(0.5 * scaled) * (0.5 / slope)
        inputs = x if slope == 1.0 else self.slope_point(x * slope, training=training)
        return x * self.sigmoid_point(ops.sigmoid(inputs), training=training)


@keras.saving.register_keras_serializable(package="keras_transformer")
class FeedForward(Activated):
    """`W2 f(W1 x + b1) + b2`, or gated `W2 (f(Wg x) * (W1 x))`.

    Vaswani et al. 2017, section 3.3; the gated form is from Shazeer 2020, arXiv:2002.05202.
    Inputs and outputs are (B, T, D).

    Args:
        intermediate_dim: width between the projections, F.
        activation: `relu`, `gelu` (exact), `gelu_tanh`, `silu` or `hard_silu`.
        gated: whether a second, activated projection multiplies the first.
        dropout: dropout rate after the activation.
        rank: rank of the low-rank factors of each projection that they make smaller; 0 for none.
        reads_stream: see `MultiHeadAttention`.
        bits: bit widths, see `QuantizedLayer`; those of a gated layer are the `dynamic_bits`.

    Raises:
        ValueError: if the activation is unknown.
    """

    def __init__(
        self, intermediate_dim, *, activation="gelu", gated=False, dropout=0.0, use_bias=True,
        rank=0, reads_stream=False, bits=None, **kwargs,
    ):  # fmt: skip
        super().__init__(bits=dynamic_bits(bits) if gated else bits, **kwargs)
        self._check_activation(activation)
        self.intermediate_dim = intermediate_dim
        self.activation = activation
        self.gated = gated
        self.dropout = dropout
        self.use_bias = use_bias
        self.rank = rank
        self.reads_stream = reads_stream

    def build(self, input_shape):
        narrow, wide = input_shape, (*input_shape[:-1], self.intermediate_dim)

        read = dynamic_bits(self.bits) if self.reads_stream else self.bits

        def projection(shape, units, name, bits=read):
            return make_projection(
                units, shape[-1], rank=self.rank, use_bias=self.use_bias, bits=bits,
                dtype=self.dtype_policy, name=name,
            )  # fmt: skip

        def point(name, width=self.activation_bits, **kwargs):
            return self._point(name, width, **kwargs)

        before = self._projected_bits
        self.up = projection(narrow, self.intermediate_dim, "up")
        self.up_point = point("up_point", self.activation_bits if self.gated else before)
        if self.gated:
            self.gate = projection(narrow, self.intermediate_dim, "gate")
            self.gate.build(narrow)
            self.gate_point = point("gate_point", before)
            self.activated_gate_point = point("activated_gate_point")
        self._build_activation()
        self.hidden_dropout = Dropout(self.dropout, dtype=self.dtype_policy, name="hidden_dropout")
        self.hidden_dropout.build(wide)
        self.down = projection(wide, narrow[-1], "down", dynamic_bits(self.bits))
        # The gate is built first, so that a seed initializes each kernel as in earlier versions.
        self.up.build(narrow)
        self.down.build(wide)
        self.down_point = point("down_point", dynamic_bits(self.bits)["activation_bits"])

    def call(self, inputs, training=None):
        x = self.up_point(self.up(inputs), training=training)
        if self.gated:
            gate = self.gate_point(self.gate(inputs), training=training)
            x = self.activated_gate_point(self._activate(gate, training), training=training) * x
        else:
            x = self._activate(x, training)
        x = self.activation_point(x, training=training)
        x = self.hidden_dropout(x, training=training)
        return self.down_point(self.down(x), training=training)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class HeadTransform(Activated):
    """`norm(f(W x + b))` of (B, T, D), from which logits of tokens are computed.

    Devlin et al. 2018, arXiv:1810.04805, as `get_masked_lm_output` of their repository.

    Args:
        units: width of the outputs, that of the token embeddings.
        activation: see `FeedForward`.
        norm: `layer_norm` or `rms_norm`.
        epsilon: epsilon of the norm.
        use_bias: whether the projection has a bias.
        rank: rank of the low-rank factors of the kernel that they make smaller; 0 for none.
        bits: bit widths, see `QuantizedLayer`.

    Raises:
        ValueError: if the activation is unknown.
    """

    def __init__(
        self, units, *, activation="gelu", norm="layer_norm", epsilon=1e-12, use_bias=True, rank=0,
        bits=None, **kwargs,
    ):  # fmt: skip
        super().__init__(bits=bits, **kwargs)
        self._check_activation(activation)
        self.units = units
        self.activation = activation
        self.norm_kind = norm
        self.epsilon = epsilon
        self.use_bias = use_bias
        self.rank = rank

    def build(self, input_shape):
        shape = (*input_shape[:-1], self.units)
        self.transform = make_projection(
            self.units, input_shape[-1], rank=self.rank, use_bias=self.use_bias, bits=self.bits,
            dtype=self.dtype_policy, name="transform",
        )  # fmt: skip
        self.transform.build(input_shape)
        self.transform_point = self._point("transform_point", self._projected_bits)
        self._build_activation()
        self.norm = make_norm(
            self.norm_kind, epsilon=self.epsilon, bits=self.bits, dtype=self.dtype_policy,
            name="norm",
        )  # fmt: skip
        self.norm.build(shape)
        self.norm_point = self._point("norm_point", self.activation_bits)

    def call(self, inputs, training=None):
        x = self.transform_point(self.transform(inputs), training=training)
        x = self.activation_point(self._activate(x, training), training=training)
        return self.norm_point(self.norm(x), training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)
