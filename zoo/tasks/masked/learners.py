"""Training models of masked language modeling, around the model that is kept."""

import keras
from keras import ops

from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.losses.chunked import ChunkedLoss
from keras_transformer.zoo.losses.losses import TokenLoss
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.heads import HEAD, Head

# Parts of an encoder's width, heads and intermediate width that its generator has, and the weight
# of the encoder's loss (Clark et al. 2020, section 3.2 and appendix A).
_PARTS = 4
_WEIGHT = 50.0


class MaskedLearner(keras.Model):
    """An encoder in training whose logits are computed at the masked positions alone.

    Those of a vocabulary at every position would cost more than the rest of a small model.

    Args:
        model: encoder with a `masked` head.
        most: largest number of masked positions of a row.
        loss_chunk: number of tokens whose logits are held at once; 0 for all.
    """

    def __init__(self, model: keras.Model, most: int, loss_chunk: int = 0):
        super().__init__(name="masked_learner")
        self.encoder = model
        self._logits = _Logits(model, most)
        self._loss_chunk = loss_chunk

    def compile(self, *, loss: TokenLoss, **arguments) -> None:
        if self._loss_chunk:
            loss = ChunkedLoss(self._logits.table, self._loss_chunk, loss.label_smoothing)
        super().compile(loss=loss, **arguments)

    def call(self, inputs, training=None):
        """Returns the vectors (B, T, D) of the last block."""
        return self._logits.vectors(inputs, training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        _, targets, outputs = self._logits.before(y, y_pred, training)
        if not self._loss_chunk:
            outputs = self._logits.of(outputs, training)
        return super().compute_loss(x, targets, outputs, sample_weight, training)


class ReplacedLearner(keras.Model):
    """An encoder that learns which pieces a generator replaced, and the generator.

    Clark et al. 2020, arXiv:2003.10555, section 2: the generator learns to restore masked pieces,
    which are then drawn from its distribution; those that are drawn as they were count as not
    replaced. It has a quarter of the encoder's heads and widths, and token embeddings of its own,
    where the paper shares them. Its weights are not those of the encoder that is kept.

    Args:
        model: encoder with one output at each position.
        config: its config.
        most: largest number of masked positions of a row.
        mask_id: id of [MASK].
    """

    def __init__(self, model: keras.Model, config: TransformerConfig, most: int, mask_id: int):
        super().__init__(name="replaced_learner")
        self.encoder = model
        dtype = model.get_layer("encoder").dtype_policy.name
        self.generator = build(generator_config(config), Head(kind="masked"), dtype=dtype)
        self.mask_id = mask_id
        self._logits = _Logits(self.generator, most)
        self._restoring = TokenLoss()
        self._seeds = keras.random.SeedGenerator()

    def call(self, inputs, training=None):
        """Returns the ids: what the encoder reads depends on the targets."""
        return inputs["ids"]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        targets = ops.cast(y, "int32")
        is_masked = targets > 0
        pieces = ops.where(is_masked, targets - 1, NO_TARGET)
        ids = ops.cast(x["ids"], "int32")
        hidden = ops.where(is_masked, self.mask_id, ids)
        vectors = self._logits.vectors({"ids": hidden}, training)
        places, expected, outputs = self._logits.before(pieces, vectors, training)
        logits = self._logits.of(outputs, training)
        restored = self._restoring(expected, logits)
        drawn = self._drawn(ops.stop_gradient(logits))
        # Back in its place, by a sum over (B, P, T) of which one term is not 0.
        at = ops.equal(ops.expand_dims(places, -1), ops.arange(ops.shape(ids)[1]))
        drawn = ops.sum(ops.cast(at, "int32") * ops.expand_dims(drawn, -1), axis=1)
        read = ops.where(is_masked, drawn, ids)
        is_other = ops.cast(is_masked & ops.not_equal(drawn, pieces), "int32")
        found = ops.where(ops.equal(targets, NO_TARGET), NO_TARGET, is_other)
        outputs = self.encoder({"ids": read}, training=training)
        told = super().compute_loss(x, found, outputs, sample_weight, training)
        return restored + _WEIGHT * told

    def _drawn(self, logits):
        """Pieces (B, P) from logits (B, P, V), each by its probability."""
        shape = ops.shape(logits)
        flat = ops.reshape(logits, (-1, logits.shape[-1]))
        drawn = keras.random.categorical(flat, 1, dtype="int32", seed=self._seeds)
        return ops.reshape(drawn, shape[:2])


class _Logits:
    """The logits of a model with a `masked` head at some positions.

    Args:
        model: the model.
        most: number of positions of a row, P.

    Attributes:
        table: layer that makes the logits.
    """

    def __init__(self, model: keras.Model, most: int):
        layers = {layer.name: layer for layer in model.layers}
        self._most = most
        self._body = keras.Model(model.inputs, layers["encoder"].output)
        self._head, self.table, self._point = (
            layers[name] for name in (HEAD, "token_embedding", "logits_point")
        )

    def vectors(self, inputs, training) -> keras.KerasTensor:
        """Returns the vectors (B, T, D) of the last block."""
        return self._body({"ids": inputs["ids"]}, training=training)

    def before(self, targets, vectors, training):
        """Returns the positions (B, P), first those with a target, these, and the head's vectors.

        Args:
            targets, vectors: targets (B, T) and the vectors (B, T, D) of the last block.
        """
        targets = ops.cast(targets, "int32")
        _, places = ops.top_k(ops.cast(ops.not_equal(targets, NO_TARGET), "float32"), self._most)
        places = ops.cast(places, "int32")
        found = ops.take_along_axis(targets, places, axis=1)
        x = ops.take_along_axis(vectors, ops.expand_dims(places, -1), axis=1)
        return places, found, self._head(x, training=training)

    def of(self, vectors, training):
        """Returns the logits (B, P, V) of the head's vectors (B, P, D)."""
        logits = self.table(vectors, logits=True)
        return ops.cast(self._point(logits, training=training), "float32")


def generator_config(config: TransformerConfig) -> TransformerConfig:
    """Returns the config of an encoder's generator."""
    heads = max(1, config.num_heads // _PARTS)
    return config.replace(
        num_heads=heads, num_key_value_heads=0, head_dim=config.head_width,
        hidden_dim=heads * config.head_width, embedding_dim=0,
        intermediate_dim=max(1, config.intermediate_dim // _PARTS),
    )
