"""From a config to a Keras model, and weights by path."""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from keras_transformer.attention import MASKED_SCORE
from keras_transformer.embeddings import SegmentEmbedding, TokenEmbedding
from keras_transformer.normalization import make_norm
from keras_transformer.positions import LearnedPositionalEncoding, SinusoidalPositionalEncoding
from keras_transformer.quantization import Projection, QuantPoint
from keras_transformer.stacks import Decoder, Encoder
from keras_transformer.zoo.config import TransformerConfig
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks import Task

PAD_ID = 0


def build(
    config: TransformerConfig,
    task: Task | None = None,
    *,
    kernel_bits: int | None = None,
    activation_bits: int | None = None,
    dtype: str = "float32",
) -> keras.Model:
    """Makes the model of a config.

    Inputs are int32 ids, 0 where a position is padding:
    - encoder: `ids` (B, T), and `segment_ids` (B, T) for a task over pairs. Outputs are the task's
      (B, num_outputs), or without a task the pooled vectors (B, D).
    - decoder: `ids` (B, T). Outputs are logits (B, T, V).
    - encoder-decoder: `source_ids` (B, S) and `ids` (B, T). Outputs are logits (B, T, V).

    Args:
        config: the shape.
        task: what an encoder's head is for.
        kernel_bits, activation_bits: width of what an integer device stores, None for float.
        dtype: Keras dtype policy of the layers; outputs are float32 under mixed precision too.
    """
    bits = {"kernel_bits": kernel_bits, "activation_bits": activation_bits}
    parts = _Parts(config, bits, dtype)
    if config.architecture == "encoder":
        return parts.encoder_model(task)
    return parts.decoder_model(cross_attention=config.architecture == "encoder-decoder")


class _Parts:
    """The layers of one model, each named: the names are the checkpoint's weight paths."""

    def __init__(self, config: TransformerConfig, bits: Mapping[str, int | None], dtype: str):
        self.config = config
        self.bits = bits
        self.dtype = dtype

    def point(self, name):
        return QuantPoint(self.bits["activation_bits"], dtype=self.dtype, name=name)

    def projection(self, units, name):
        return Projection(units, kernel_bits=self.bits["kernel_bits"], dtype=self.dtype, name=name)

    def dropout(self, name):
        return keras.layers.Dropout(self.config.dropout, dtype=self.dtype, name=name)

    def token_embedding(self, vocab_size=None, name="token_embedding"):
        c = self.config
        # Vectors that are scaled by sqrt(D) start with a variance of 1 after it.
        stddev = c.hidden_dim**-0.5 if c.scale_embeddings else 0.02
        return TokenEmbedding(
            vocab_size or c.vocab_size, c.hidden_dim,
            scale=c.hidden_dim**0.5 if c.scale_embeddings else 1.0,
            initializer_stddev=stddev, activation_bits=self.bits["activation_bits"],
            dtype=self.dtype, name=name,
        )  # fmt: skip

    def add_positions(self, x, name="position_embedding"):
        kinds = {
            "learned": LearnedPositionalEncoding,
            "sinusoidal": SinusoidalPositionalEncoding,
        }
        kind = kinds.get(self.config.positions)
        return x if kind is None else kind(self.config.max_length, dtype=self.dtype, name=name)(x)

    def stack(self, stack_class, name, **kwargs):
        c = self.config
        return stack_class(
            c.num_layers, c.num_heads, c.intermediate_dim,
            num_key_value_heads=c.num_key_value_heads or None, dropout=c.dropout,
            attention_dropout=c.attention_dropout, activation=c.activation, gated=c.gated,
            norm=c.norm, epsilon=c.epsilon, pre_norm=c.pre_norm, use_bias=c.use_bias,
            rotary=c.positions == "rotary", dtype=self.dtype, name=name,
            position_bias=c.positions if c.positions in ("t5", "alibi") else None,
            **self.bits, **kwargs,
        )  # fmt: skip

    def encoder_model(self, task):
        c = self.config
        ids = keras.Input((None,), dtype="int32", name="ids")
        inputs = {"ids": ids}
        x = self.add_positions(self.token_embedding()(ids))
        if c.num_segments:
            segments = ()
            if task is not None and task.pair:
                inputs["segment_ids"] = keras.Input((None,), dtype="int32", name="segment_ids")
                segments = (inputs["segment_ids"],)
            x = SegmentEmbedding(c.num_segments, dtype=self.dtype, name="segment_embedding")(
                x, *segments
            )
        if not c.pre_norm:
            x = make_norm(c.norm, epsilon=c.epsilon, dtype=self.dtype, name="embedding_norm")(x)
            x = self.point("embedding_norm_point")(x)
        x = self.dropout("embedding_dropout")(x)
        mask = ops.not_equal(ids, PAD_ID)
        x = self.stack(Encoder, "encoder")(x, mask=mask)
        x = self._pool(x, mask)
        if task is not None:
            x = self.dropout("head_dropout")(x)
            x = self.projection(task.num_outputs, "head")(x)
            x = self.point("head_point")(x)
        return keras.Model(inputs, ops.cast(x, "float32"), name="encoder_model")

    def _pool(self, x, mask):
        """(B, T, D) to (B, D)."""
        if self.config.pooling == "first":
            x = x[:, 0, :]
            x = self.point("pooler_point")(self.projection(self.config.hidden_dim, "pooler")(x))
            return self.point("pooled_point")(ops.tanh(x))
        real = ops.expand_dims(ops.cast(mask, x.dtype), -1)
        if self.config.pooling == "mean":
            pooled = ops.sum(x * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1.0)
        else:
            # In this order: Keras takes a second term (1, T, 1) for a bias of the channels.
            pooled = ops.max((1.0 - real) * MASKED_SCORE + x, axis=1)
        return self.point("pooled_point")(pooled)

    def decoder_model(self, *, cross_attention):
        c = self.config
        ids = keras.Input((None,), dtype="int32", name="ids")
        inputs, memory = {"ids": ids}, {}
        embedding = self.token_embedding()
        if cross_attention:
            source = keras.Input((None,), dtype="int32", name="source_ids")
            inputs = {"source_ids": source, "ids": ids}
            read = embedding
            if c.source_vocab_size:
                read = self.token_embedding(c.source_vocab_size, "source_token_embedding")
            mask = ops.not_equal(source, PAD_ID)
            x = self._embed(source, read, "source_")
            memory = {"memory": self.stack(Encoder, "encoder")(x, mask=mask), "memory_mask": mask}
        x = self._embed(ids, embedding)
        stack = self.stack(Decoder, "decoder", cross_attention=cross_attention)
        x = stack(x, mask=ops.not_equal(ids, PAD_ID), **memory)
        logits = _TiedLogits(embedding, dtype=self.dtype, name="logits")(x)
        logits = ops.cast(self.point("logits_point")(logits), "float32")
        return keras.Model(inputs, logits, name=f"{c.architecture}_model")

    def _embed(self, ids, embedding, prefix=""):
        """(B, T) to (B, T, D), what a stack without a norm before it reads."""
        x = self.add_positions(embedding(ids), f"{prefix}position_embedding")
        if not self.config.pre_norm:
            x = self.point(f"{prefix}embedding_point")(x)
        return self.dropout(f"{prefix}dropout" if prefix else "embedding_dropout")(x)


class _TiedLogits(keras.layers.Layer):
    """The embedding's `logits` as a layer of a functional model."""

    def __init__(self, embedding, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        # In a tuple, so that the table is counted and saved once, under the embedding's own path.
        self._embedding = (embedding,)

    def build(self, input_shape):
        pass

    def call(self, x, training=None):
        return self._embedding[0].logits(x, training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self._embedding[0].vocab_size)


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the model's layers at every depth."""
    return list(model._flatten_layers())


def get_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the model's weights by path, random states left out."""
    return {weight.path: ops.convert_to_numpy(weight.value) for weight in model.weights}


def set_weights(
    model: keras.Model, weights: Mapping[str, np.ndarray], *, ranges_missing: bool = False
) -> None:
    """Assigns weights by path, strictly.

    Args:
        model: the model.
        weights: arrays by path, as `get_weights` returned them.
        ranges_missing: whether the ranges of quantization points may be missing, as they are when
            a float model's weights go into a quantized one.

    Raises:
        InputError: a weight is missing, unknown, or of another shape.
    """
    unknown = dict(weights)
    for variable in model.weights:
        if variable.path not in weights:
            if ranges_missing and variable.path.endswith(("/range_min", "/range_max")):
                continue
            raise InputError(f"The weights lack {variable.path}, which the model has.")
        value = unknown.pop(variable.path)
        if tuple(value.shape) != tuple(variable.shape):
            raise InputError(
                f"Expected the weight {variable.path} to have shape {tuple(variable.shape)}, "
                f"got {tuple(value.shape)}."
            )
        variable.assign(value)
    if unknown:
        raise InputError(f"The weights hold {sorted(unknown)[0]}, which the model does not have.")
