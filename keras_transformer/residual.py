"""The residual connection around a sublayer, with its normalization before or after."""

import keras

from keras_transformer.dropout import Dropout, StochasticDepth
from keras_transformer.masks import token_mask
from keras_transformer.normalization import make_norm
from keras_transformer.quantization import QuantizedLayer, QuantPoint


@keras.saving.register_keras_serializable(package="keras_transformer")
class Residual(QuantizedLayer):
    """`Norm(x + Dropout(Sublayer(x)))`, or `x + Dropout(Sublayer(Norm(x)))` with `pre_norm`.

    Vaswani et al. 2017, section 3.1; the pre-norm form is from Xiong et al. 2020, arXiv:2002.04745.
    With `sandwich` too it is `x + Dropout(Norm'(Sublayer(Norm(x))))` (Gemma Team 2024,
    arXiv:2408.00118).
    Inputs and outputs are (B, T, D). Further arguments of the call are passed to the sublayer, and
    its further outputs are returned after the sum.

    Args:
        sublayer: layer that maps (B, T, D) to (B, T, D).
        pre_norm: whether the norm is applied before the sublayer.
        dropout: dropout rate of the sublayer's output.
        norm: `layer_norm` or `rms_norm`; None for none, with `pre_norm`.
        epsilon: epsilon of the norm.
        sandwich: whether the sublayer's output is normalized too.
        stochastic_depth: rate of rows from which the sublayer is left out in training.
        bits: bit widths, see `QuantizedLayer`; the sum and a sandwich's norm are inner
            tensors.

    Raises:
        ValueError: if a post-norm layer has a sandwich or no norm.
    """

    def __init__(
        self, sublayer, *, pre_norm=False, dropout=0.0, norm="layer_norm", epsilon=1e-6,
        sandwich=False, stochastic_depth=0.0, bits=None, **kwargs,
    ):  # fmt: skip
        super().__init__(bits=bits, **kwargs)
        if not pre_norm and (sandwich or norm is None):
            raise ValueError(
                "Expected a sandwich, or no norm, with pre_norm alone, "
                f"got pre_norm={pre_norm}, sandwich={sandwich}, norm={norm!r}."
            )
        self.sublayer = sublayer
        self.pre_norm = pre_norm
        self.dropout_rate = dropout
        self.norm_kind = norm
        self.epsilon = epsilon
        self.sandwich = sandwich
        same = {"dtype": self.dtype_policy}
        normalizing = {"epsilon": epsilon, "bits": self.bits, **same}
        self.norm = None if norm is None else make_norm(norm, name="norm", **normalizing)
        self.post_norm = self.post_norm_point = None
        if sandwich:
            self.post_norm = make_norm(
                norm, name="post_norm", reads_projection=True, **normalizing
            )
            self.post_norm_point = QuantPoint(self.inner_bits, name="post_norm_point", **same)
        self.sum_point = QuantPoint(self.inner_bits, name="sum_point", **same)
        self.norm_point = None
        if norm is not None:
            self.norm_point = QuantPoint(self.activation_bits, name="norm_point", **same)
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.stochastic_depth = StochasticDepth(
            stochastic_depth, dtype=self.dtype_policy, name="stochastic_depth"
        )

    def build(self, x_shape, memory_shape=None):
        if self.norm is not None:
            self.norm.build(x_shape)
            self.norm_point.build(x_shape)
        if self.sandwich:
            self.post_norm.build(x_shape)
            self.post_norm_point.build(x_shape)
        self.sum_point.build(x_shape)
        self.dropout.build(x_shape)
        self.stochastic_depth.build(x_shape)
        if not self.sublayer.built:
            shapes = (x_shape,) if memory_shape is None else (x_shape, memory_shape)
            self.sublayer.build(*shapes)

    def call(
        self, x, memory=None, *, onto=None, cache_index=None, return_scores=False, first=False,
        training=None, **tensors,
    ):  # fmt: skip
        """Returns the sum of the sublayer's outputs and of `onto` (B, T, D), by default `x`.

        With `first` the result is that of the first position (B, 1, D), and the sublayer's memory
        is all that it would read.
        """
        # Keras does not accept tensors among keyword arguments that the signature names.
        if memory is not None:
            tensors["memory"] = memory
        others = {} if cache_index is None else {"cache_index": cache_index}
        if return_scores:
            others["return_scores"] = True
        inputs = self._normalize(x, training) if self.pre_norm else x
        if first:
            tensors["memory"] = inputs
            inputs, x = inputs[:, :1], x[:, :1]
        outputs = self.sublayer(inputs, training=training, **others, **tensors)
        outputs, *others = outputs if isinstance(outputs, tuple) else (outputs,)
        if self.sandwich:
            outputs = self._sandwiched(outputs, training)
        outputs = self.dropout(outputs, training=training)
        outputs = self.stochastic_depth(outputs, training=training)
        x = x if onto is None else onto
        y = self.sum_point(x + outputs, training=training)
        if not self.pre_norm:
            y = self._normalize(y, training)
        return (y, *others) if others else y

    def _sandwiched(self, x, training):
        if self.inner_bits is None:
            return self.post_norm(x, training=training)
        return self.post_norm_point(self.post_norm(x, training=training), training=training)

    def _normalize(self, x, training):
        if self.norm is None:
            return x
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
            "sandwich": self.sandwich,
            "stochastic_depth": self.stochastic_depth.rate,
            "bits": self.bits,
        }

    @classmethod
    def from_config(cls, config):
        sublayer = keras.saving.deserialize_keras_object(config["sublayer"])
        return cls(**{**config, "sublayer": sublayer})
