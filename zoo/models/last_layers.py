"""Layers that follow all others of a model: units, lengths of vectors, several members' output."""

import keras
from keras import ops

from keras_transformer.masks import IMPERCEPTIBLE

# The smallest length that a vector is divided by, as in TFLite's op.
LEAST_LENGTH = 1e-6
# The smallest probability of several members, whose logarithm is the output: 1e-30 is -69.
_LEAST_PROBABILITY = 1e-30


@keras.saving.register_keras_serializable(package="keras_transformer")
class InUnits(keras.layers.Layer):
    """`y = x deviation + mean`, in float32 whatever the layers before it compute in.

    It has no weights: a model of rounded or half-precision layers stores standardized numbers, and
    only its output is large.

    Args:
        mean, deviation: of the targets.
    """

    def __init__(self, mean=0.0, deviation=1.0, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mean = mean
        self.deviation = deviation

    def call(self, inputs):
        return inputs * self.deviation + self.mean

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class UnitLength(keras.layers.Layer):
    """`y = x / |x|` of vectors (B, D), in float32 whatever the layers before it compute in."""

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        return _unit(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transformer")
class Fused(keras.layers.Layer):
    """One output of those of several members `x_m`, (B, units) or (B, T, units), in float32.

    With `p_m = softmax(x_m / t_m)` and weights `w_m`, the output is

    - `probabilities`: `log(sum_m w_m p_m)`, whose softmax is the weighted mean of the members'
      probabilities, of classes or of the next token (the linear opinion pool: Genest and Zidek
      1986, section 3);
    - `votes`: `log((sum_m v_m + sum_m w_m p_m) / (M + 1))`, where `v_m` is 1 at the class that is
      the most probable of a member: each has one vote, and the mean probabilities have one
      together, which decides between classes with as many votes and never against more;
    - `numbers`: `sum_m w_m x_m`;
    - `logits`: the same, of begin and end at each position. Their softmax over any positions is the
      weighted geometric mean of the members', divided by its sum (the logarithmic opinion pool:
      Genest and Zidek 1986, section 3). Which positions compete, those of whole words of the
      context, the model is not told, so that it cannot compute an arithmetic mean;
    - `vectors`: `sum_m w_m x_m / |x_m|`;
    - `label_probabilities`: the logit of `sum_m w_m sigmoid(x_m)`.

    A member whose weight is 0 is no member.

    Args:
        combine: what becomes of the outputs.
        weights: weights of the members, with a sum of 1.
        temperatures: `t_m` of each member, whose probabilities were calibrated; empty for 1.
    """

    def __init__(self, combine, weights, temperatures=(), **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.supports_masking = True
        self.combine = combine
        self.weights_of_members = [float(weight) for weight in weights]
        self.temperatures = [float(temperature) for temperature in temperatures]
        self._kept = [place for place, weight in enumerate(self.weights_of_members) if weight]
        self._kept_weights = [self.weights_of_members[place] for place in self._kept]

    def call(self, outputs):
        outputs = [outputs[place] for place in self._kept]
        if self.combine in ("numbers", "logits"):
            # As differences: a converter would multiply a weight into the kernel of a member's
            # head, whose outputs then stand nowhere in the file.
            first, *others = outputs
            for weight, one in zip(self._kept_weights[1:], others, strict=True):
                first = first + weight * (one - outputs[0])
            return first
        if self.combine == "vectors":
            return self._mean([_unit(one + IMPERCEPTIBLE) for one in outputs])
        if self.combine == "label_probabilities":
            # That of the other answer is no difference from 1, which would be 0 from 17 on.
            mean, other = (
                self._mean([ops.sigmoid(sign * (one + IMPERCEPTIBLE)) for one in outputs])
                for sign in (1.0, -1.0)
            )
            return _log(mean) - _log(other)
        # Without the difference the constant would become the bias of the logits' matmul, and with
        # it what a norm before that adds, which the rounding of rows would miss.
        found = [
            ops.softmax(
                self._divided(one - ops.max(one, axis=-1, keepdims=True), place) + IMPERCEPTIBLE
            )
            for one, place in zip(outputs, self._kept, strict=True)
        ]
        mean = self._mean(found)
        if self.combine == "votes":
            votes = [
                ops.cast(ops.equal(one, ops.max(one, axis=-1, keepdims=True)), "float32")
                for one in found
            ]
            mean = (sum(votes[1:], votes[0]) + mean) / (len(found) + 1.0)
        return _log(mean)

    def _divided(self, logits, place):
        return logits / self.temperatures[place] if self.temperatures else logits

    def _mean(self, values):
        weighted = [
            weight * one for weight, one in zip(self._kept_weights, values, strict=True)
        ]
        return sum(weighted[1:], weighted[0])

    def get_config(self):
        own = {
            "combine": self.combine, "weights": self.weights_of_members,
            "temperatures": self.temperatures,
        }  # fmt: skip
        return {**super().get_config(), **own}

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def _unit(vectors):
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, LEAST_LENGTH**2))


def _log(probabilities):
    return ops.log(ops.maximum(probabilities, _LEAST_PROBABILITY))
