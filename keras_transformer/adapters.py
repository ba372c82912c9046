"""Low-rank adapters: small trained changes of a projection's kernel (LoRA)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_transformer")
class LowRankAdapter(keras.layers.Layer):
    """`x A B factor` beside a projection `x W` (Hu et al. 2021, arXiv:2106.09685, section 4.1).

    `B` starts at zero, so that a new adapter changes nothing.

    Args:
        units: width of the output.
        rank: width between the factors.
        factor: constant factor.

    Raises:
        ValueError: if the rank is not above 0.
    """

    def __init__(self, units, rank, *, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        if not rank > 0:
            raise ValueError(f"Expected rank to be above 0, got rank={rank}.")
        self.units = units
        self.rank = rank
        self.factor = factor

    def build(self, input_shape):
        self.down = self.add_weight(
            name="down", shape=(input_shape[-1], self.rank), initializer="he_uniform"
        )
        self.up = self.add_weight(name="up", shape=(self.rank, self.units), initializer="zeros")

    def call(self, inputs):
        return ops.matmul(ops.matmul(inputs, self.down), self.up) * self.factor

    @property
    def change(self):
        """What the adapter adds to the kernel (width, units)."""
        return ops.matmul(self.down.value, self.up.value) * self.factor

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)
