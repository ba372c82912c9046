"""The position-wise feed-forward layer, plain and gated."""

import keras
from keras import ops

from keras_transformer.activations import ACTIVATIONS, SIGMOID_SLOPES
from keras_transformer.bits import dynamic_bits, unit_range
from keras_transformer.dropout import Dropout
from keras_transformer.low_rank import make_projection
from keras_transformer.quantization import QuantizedLayer


@keras.saving.register_keras_serializable(package="keras_transformer")
class FeedForward(QuantizedLayer):
    """`W2 f(W1 x + b1) + b2`, or gated `W2 (f(Wg x) * (W1 x))`.

    Vaswani et al. 2017, section 3.3; the gated form is from Shazeer 2020, arXiv:2002.05202.
    Inputs and outputs are (B, T, D).

    Args:
        intermediate_dim: width between the projections, F.
        activation: `relu`, `gelu` (exact), `gelu_tanh` or `silu`.
        gated: whether a second, activated projection multiplies the first.
        dropout: dropout rate after the activation.
        rank: rank of the low-rank factors of each projection that they make smaller; 0 for none.
        bits: bit widths, see `QuantizedLayer`; those of a gated layer are the `dynamic_bits`. With
            `inner_bits`, or activations of more than 8 bits, an activation other than relu is
            computed as `x * sigmoid(slope * x)`, whose ops such a device supports.

    Raises:
        ValueError: if the activation is unknown.
    """

    def __init__(
        self, intermediate_dim, *, activation="gelu", gated=False, dropout=0.0, use_bias=True,
        rank=0, bits=None, **kwargs,
    ):  # fmt: skip
        super().__init__(bits=dynamic_bits(bits) if gated else bits, **kwargs)
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"Expected activation to be one of {', '.join(ACTIVATIONS)}, "
                f"got activation={activation!r}."
            )
        self.intermediate_dim = intermediate_dim
        self.activation = activation
        self.gated = gated
        self.dropout = dropout
        self.use_bias = use_bias
        self.rank = rank

    def build(self, input_shape):
        narrow, wide = input_shape, (*input_shape[:-1], self.intermediate_dim)

        def projection(shape, units, name, bits=self.bits):
            return make_projection(
                units, shape[-1], rank=self.rank, use_bias=self.use_bias, bits=bits,
                dtype=self.dtype_policy, name=name,
            )  # fmt: skip

        def point(name, width=self.activation_bits, **kwargs):
            return self._point(name, width, **kwargs)

        # A relu is fused into the projection before it, so nothing is stored between the two.
        before = None if self.activation == "relu" else self.activation_bits
        self.up = projection(narrow, self.intermediate_dim, "up")
        self.up_point = point("up_point", self.activation_bits if self.gated else before)
        if self.gated:
            self.gate = projection(narrow, self.intermediate_dim, "gate")
            self.gate.build(narrow)
            self.gate_point = point("gate_point", before)
            self.activated_gate_point = point("activated_gate_point")
        slope = SIGMOID_SLOPES.get(self.activation)
        self.slope_point = point("slope_point", None if slope in (None, 1.0) else self.inner_bits)
        self.sigmoid_point = point(
            "sigmoid_point", None if slope is None else self.inner_bits,
            **unit_range(self.inner_bits),
        )  # fmt: skip
        self.activation_point = point("activation_point")
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

    def _activate(self, x, training):
        """(B, T, F) to (B, T, F)."""
        is_plain = self.inner_bits is None and (self.activation_bits or 0) <= 8
        if is_plain or self.activation not in SIGMOID_SLOPES:
            return ACTIVATIONS[self.activation](x)
        slope = SIGMOID_SLOPES[self.activation]
        if self.inner_bits is None:
            # The converter would multiply a quantized x by a float: both factors have to be floats.
            scaled = x * (2.0 * slope)
            return scaled * ops.sigmoid(0.5 * scaled) * (0.5 / slope)
        inputs = x if slope == 1.0 else self.slope_point(x * slope, training=training)
        return x * self.sigmoid_point(ops.sigmoid(inputs), training=training)

    def compute_output_shape(self, input_shape):
        return input_shape
