"""Training of a model that writes, without the logits of a whole batch."""

import keras
from keras import ops

from keras_transformer.zoo.losses.chunked import ChunkedLoss
from keras_transformer.zoo.losses.losses import TokenLoss
from keras_transformer.zoo.models.heads import LOGITS_HEAD


class ChunkedLearner(keras.Model):
    """A decoder, or encoder-decoder, in training whose logits its loss makes, in chunks.

    Args:
        model: float model with logits (B, T, V).
        chunk: number of tokens whose logits are held at once.
    """

    def __init__(self, model: keras.Model, chunk: int):
        super().__init__(name="chunked_learner")
        self.model = model
        layers = {layer.name: layer for layer in model.layers}
        self._body = keras.Model(model.inputs, layers["decoder"].output)
        self._last = layers.get(LOGITS_HEAD) or layers["token_embedding"]
        self._chunk = chunk

    def compile(self, *, loss: TokenLoss, **arguments) -> None:
        """Sets the loss of targets (B, T) and logits, which it computes in chunks."""
        super().compile(
            loss=ChunkedLoss(self._last, self._chunk, loss.label_smoothing), **arguments
        )

    def call(self, inputs, training=None):
        """Returns the vectors (B, T, D) of the last block, without a mask of Keras."""
        names = [tensor.name for tensor in self._body.inputs]
        return ops.copy(self._body({name: inputs[name] for name in names}, training=training))
