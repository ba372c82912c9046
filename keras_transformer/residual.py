"""The residual connection around a sublayer, with its normalization before or after."""

import keras

from keras_transformer.dropout import Dropout
from keras_transformer.masks import token_mask
from keras_transformer.normalization import make_norm
from keras_transformer.quantization import QuantizedLayer, QuantPoint


@keras.saving.register_keras_serializable(package="keras_transformer")
class Residual(QuantizedLayer):
    """`Norm(x + Dropout(Sublayer(x)))`, or `x + Dropout(Sublayer(Norm(x)))` with `pre_norm`.

    Vaswani et al. 2017, section 3.1; the pre-norm form is from Xiong et al. 2020, arXiv:2002.04745.
    Inputs and outputs are (B, T, D). Further arguments of the call are passed to the sublayer, and
    its further outputs are returned after the sum.

    Args:
        sublayer: layer that maps (B, T, D) to (B, T, D).
        pre_norm: whether the norm is applied before the sublayer.
        dropout: dropout rate of the sublayer's output.
        norm: `layer_norm` or `rms_norm`.
        epsilon: epsilon of the norm.
        bits: bit widths, see `QuantizedLayer`; the sum is an inner tensor.
    """

    def __init__(
        self, sublayer, *, pre_norm=False, dropout=0.0, norm="layer_norm", epsilon=1e-6,
        bits=None, **kwargs,
    ):  # fmt: skip
        super().__init__(bits=bits, **kwargs)
        self.sublayer = sublayer
        self.pre_norm = pre_norm
        self.dropout_rate = dropout
        self.norm_kind = norm
        self.epsilon = epsilon
        same = {"dtype": self.dtype_policy}
        self.norm = make_norm(norm, epsilon=epsilon, bits=self.bits, name="norm", **same)
        self.sum_point = QuantPoint(self.inner_bits, name="sum_point", **same)
        self.norm_point = QuantPoint(self.activation_bits, name="norm_point", **same)
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, x_shape, memory_shape=None):
        self.norm.build(x_shape)
        self.norm_point.build(x_shape)
        self.sum_point.build(x_shape)
        self.dropout.build(x_shape)
        if not self.sublayer.built:
            shapes = (x_shape,) if memory_shape is None else (x_shape, memory_shape)
            self.sublayer.build(*shapes)

    def call(
        self, x, memory=None, *, cache_index=None, return_scores=False, training=None, **tensors
    ):  # fmt: skip
        # Keras does not accept tensors among keyword arguments that the signature names.
        if memory is not None:
            tensors["memory"] = memory
        others = {} if cache_index is None else {"cache_index": cache_index}
        if return_scores:
            others["return_scores"] = True
        inputs = self._normalize(x, training) if self.pre_norm else x
        outputs = self.sublayer(inputs, training=training, **others, **tensors)
        outputs, *others = outputs if isinstance(outputs, tuple) else (outputs,)
        y = self.sum_point(x + self.dropout(outputs, training=training), training=training)
        if not self.pre_norm:
            y = self._normalize(y, training)
        return (y, *others) if others else y

    def _normalize(self, x, training):
        return self.norm_point(self.norm(x, training=training), training=training)

    def compute_mask(self, inputs, previous_mask):
        return token_mask(inputs, previous_mask)

    def get_config(self):
        sublayer = keras.saving.serialize_keras_object(self.sublayer)
        # If a loaded sublayer were built before its parent, its paths would lack the parent's name.
        sublayer.pop("build_config", None)
        return {
            **super().get_config(),
            "sublayer": sublayer,
            "pre_norm": self.pre_norm,
            "dropout": self.dropout_rate,
            "norm": self.norm_kind,
            "epsilon": self.epsilon,
            "bits": self.bits,
        }

    @classmethod
    def from_config(cls, config):
        sublayer = keras.saving.deserialize_keras_object(config["sublayer"])
        return cls(**{**config, "sublayer": sublayer})
