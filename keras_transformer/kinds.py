"""Layers of models that read several kinds of rows: their vectors as one, or as one sequence."""

import keras
from keras import ops

from keras_transformer.bits import dynamic_bits
from keras_transformer.feedforward import Activated
from keras_transformer.low_rank import make_projection
from keras_transformer.quantization import QuantizedLayer


@keras.saving.register_keras_serializable(package="keras_transformer")
class JoinedVectors(Activated):
    """`f(W [v_1; ...; v_K] + b)`: one vector of the joined vectors of several kinds.

    Baltrusaitis et al. 2019, arXiv:1705.09406, section 3.1. The product is computed as
    `W_1 v_1 + ... + W_K v_K`: vectors that a device stores in steps of their own need not be
    stored in common ones.

    Args:
        units: D.
        activation: see `FeedForward`.
        rank: rank of the low-rank factors of each kernel that they make smaller; 0 for none.
        bits: bit widths, see `QuantizedLayer`.

    Raises:
        ValueError: if the activation is unknown.
    """

    def __init__(self, units, *, activation="gelu", rank=0, bits=None, **kwargs):
        super().__init__(bits=bits, **kwargs)
        self._check_activation(activation)
        self.units = units
        self.activation = activation
        self.rank = rank

    def build(self, input_shapes):
        self.projections, self.points = [], []
        for number, shape in enumerate(input_shapes):
            projection = make_projection(
                self.units, shape[-1], rank=self.rank, use_bias=number == 0,
                bits=dynamic_bits(self.bits), dtype=self.dtype_policy, name=f"projection_{number}",
            )  # fmt: skip
            projection.build(shape)
            self.projections.append(projection)
            width = dynamic_bits(self.bits)["activation_bits"]
            self.points.append(self._point(f"projection_{number}_point", width))
        self.sum_point = self._point("sum_point", self.inner_bits)
        self._build_activation()

    def call(self, inputs, training=None):
        """Returns (B, units) for a list of vectors (B, D_k)."""
        parts = [
            point(projection(x), training=training)
            for x, projection, point in zip(inputs, self.projections, self.points, strict=True)
        ]
        x = self.sum_point(sum(parts[1:], parts[0]), training=training)
        return self.activation_point(self._activate(x, training), training=training)

    def compute_output_shape(self, input_shapes):
        return (*input_shapes[0][:-1], self.units)

    def compute_mask(self, inputs, previous_mask):
        return None


@keras.saving.register_keras_serializable(package="keras_transformer")
class KindEmbedding(QuantizedLayer):
    """Adds a learned vector (D,) to all positions (B, T, D) of a kind (ViLT's modal type).

    Kim et al. 2021, arXiv:2102.03334, section 3.1.

    Args:
        initializer_stddev: standard deviation of the truncated normal that initializes it.
        bits: `inner_bits` is the width of the vector and of the sums.
    """

    def __init__(self, *, initializer_stddev=0.02, bits=None, **kwargs):
        super().__init__(bits=bits, **kwargs)
        self.initializer_stddev = initializer_stddev

    def build(self, input_shape):
        normal = keras.initializers.TruncatedNormal(stddev=self.initializer_stddev)
        self.embedding = self.add_weight(
            name="embedding", shape=(input_shape[-1],), initializer=normal
        )
        self.point = self._point("point", self.inner_bits)
        # With zero point 0, since it is padded with zeros, see `JoinedSequences`.
        self.sum_point = self._point("sum_point", self.inner_bits, symmetric=True)

    def call(self, inputs, training=None):
        vector = ops.cast(ops.convert_to_tensor(self.embedding), self.compute_dtype)
        return self.sum_point(inputs + self.point(vector, training=training), training=training)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class JoinedSequences(QuantizedLayer):
    """One sequence (B, T_1 + ... + T_K, D) of sequences (B, T_k, D), in their order.

    Each is padded with zeros to the whole length, and they are added: sequences that a device
    stores in steps of their own need not be stored in common ones.

    Args:
        bits: `inner_bits` is the width of the whole.
    """

    def build(self, input_shapes):
        self.point = self._point("point", self.inner_bits)

    def call(self, inputs, training=None):
        lengths = [ops.shape(x)[1] for x in inputs]
        padded = [
            ops.pad(x, ((0, 0), (sum(lengths[:place]), sum(lengths[place + 1 :])), (0, 0)))
            for place, x in enumerate(inputs)
        ]
        return self.point(sum(padded[1:], padded[0]), training=training)

    def compute_output_spec(self, inputs, training=None):
        lengths = [x.shape[1] for x in inputs]
        length = None if None in lengths else sum(lengths)
        shape = (inputs[0].shape[0], length, inputs[0].shape[2])
        return keras.KerasTensor(shape, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return None
