"""Builds the Keras model of a config, and reads and assigns weights by path."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.bits import all_bits, dynamic_bits
from keras_transformer.stacks import Decoder, Encoder
from keras_transformer.zoo.distributed.devices import whole
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.layer_names import prefix_of, prefix_of_kind
from keras_transformer.zoo.modalities.text import PAD_ID
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.config_checks import check_integers
from keras_transformer.zoo.models.fused_config import (
    FUSED,
    Combination,
    Config,
    FusedConfig,
    check_heads,
    members_of,
)
from keras_transformer.zoo.models.heads import LOGITS_HEAD, Head, HeadOwner, Heads, head_of
from keras_transformer.zoo.models.inputs import imported, read_inputs
from keras_transformer.zoo.models.kept_layers import keep_layers
from keras_transformer.zoo.models.last_layers import Fused
from keras_transformer.zoo.models.memory import check_build
from keras_transformer.zoo.models.parts import Parts
from keras_transformer.zoo.models.pooling import pool, reads_first
from keras_transformer.zoo.models.several_config import SEPARATE, SeveralConfig

# Encoder of several kinds of rows, which is imported on first use.
_SEVERAL = "keras_transformer.zoo.models.several.encoder.encode_several"


def build(
    config: Config,
    head: Head | Heads | HeadOwner | None = None,
    *,
    bits: Mapping[str, int | None] | None = None,
    keep: Sequence[str] = (),
    dtype: str = "float32",
) -> keras.Model:
    """Builds the Keras model of a config.

    - encoder: the inputs of the config's modality; for text int32 `ids` (B, T), 0 where a position
      is padding, and `segment_ids` (B, T) for a head over pairs. Outputs are the head's (B, units),
      (B, T, units) of a `tokens` head, logits (B, T, V) of a `masked` one, or the pooled vectors
      (B, D) of a `vector` head or without one; of several heads, outputs by name.
    - decoder: `ids` (B, T). Outputs are logits (B, T, V).
    - encoder-decoder: `source_ids` (B, S), or the inputs of a modality that is no text, and `ids`
      (B, T). Outputs are logits (B, T, V).
    - a `SeveralConfig`: the inputs of its kinds. Outputs are an encoder's, of the whole rows; or by
      kind where the encoders are `separate`.
    - a `FusedConfig`: the inputs of its members. Outputs are those of `last_layers.Fused`.

    Args:
        config: architecture and sizes of the model, or of several that answer as one.
        head: head of the model or several, or a task that has them; None for an encoder's pooled
            vectors, or the tied logits of a decoder.
        bits: bit widths, see `keras_transformer.bits`; None for float.
        keep: path patterns of the layers that stay float or wide, see `keep_layers`.
        dtype: Keras dtype policy of the layers; outputs are float32 even with mixed precision.

    Raises:
        InputError: if it does not fit in memory, the architecture does not support the head, a
            pattern matches nothing, or the positions cannot be computed in these integers.
    """
    head, widths = head_of(head), all_bits(bits)
    for one in members_of(config):
        check_build(one)
        _check(one, head, widths)
    if isinstance(config, FusedConfig):
        inputs, outputs = _fused(config, head, widths, dtype)
    elif isinstance(config, SeveralConfig):
        inputs, outputs = _several(config, head, widths, dtype)
    else:
        inputs, outputs = _Models(config, widths, dtype).ends(head)
    model = keras.Model(inputs, _ended(outputs, head), name=f"{config.architecture}_model")
    keep_layers(model, keep)
    return model


def _check(config: TransformerConfig, head: Head | None, widths: Mapping[str, int | None]) -> None:
    """Raises InputError if a config's model cannot have the head or be computed in the widths."""
    if widths["inner_bits"] is not None:
        check_integers(config)
    if config.pooler == "gelu" and (widths["activation_bits"] or 0) > 8:
        raise InputError(
            "Expected a pooler other than gelu, which the converter does not store in more than "
            f"8 bits, got activation_bits={widths['activation_bits']}."
        )
    if (widths["activation_bits"] or 0) > 8 and config.positions == "rotary":
        raise InputError(
            "Expected positions other than rotary, which the converter does not store in more than "
            f"8 bits, got activation_bits={widths['activation_bits']}."
        )
    if head is not None:
        head.check(config.architecture)


def _fused(
    config: FusedConfig, head: Head | Heads | None, widths: Mapping[str, int | None], dtype: str
) -> tuple[dict[str, Any], Any]:
    """The inputs of several models by name, and the one output of theirs, or one by head."""
    if config.architecture == "encoder":
        check_heads(config, head)
    if widths["inner_bits"] is not None:
        raise InputError(
            "Expected a precision with floats for several models that answer as one, whose mean "
            f"is computed in floats, got inner_bits={widths['inner_bits']}; make one model of "
            "them with keras-transformer distill for files of integers alone."
        )
    inputs, outputs = {}, []
    for number, member in enumerate(config.members):
        models = _Models(member, widths, dtype, prefix_of(number))
        read, x = models.ends(head, inputs)
        inputs |= read
        outputs.append(x)
    if not isinstance(head, Heads):
        return inputs, _joined(config.outputs, FUSED)(outputs)
    return inputs, {
        name: _joined(config.outputs[name], f"{name}_{FUSED}")([one[name] for one in outputs])
        for name in head.heads
    }


def _joined(one: Combination, name: str) -> Fused:
    return Fused(one.combine, one.weights, one.temperatures, name=name)


def _several(
    config: SeveralConfig, head: Head | Heads | None, widths: Mapping[str, int | None], dtype: str
) -> tuple[dict[str, Any], Any]:
    """The inputs of several kinds by name, and the output of the whole, or those of each kind."""
    if config.fusion == SEPARATE:
        found = config.heads_of(head)
        inputs, outputs = {}, {}
        for name, one in config.members.items():
            models = _Models(one, widths, dtype, prefix_of_kind(name))
            read, outputs[name] = models.ends(found[name])
            inputs |= read
        return inputs, outputs
    heads = head.heads.values() if isinstance(head, Heads) else [head] if head else []
    for one in heads:
        if one.kind not in ("pooled", "vector"):
            raise InputError(
                f"Expected a head on the vector of a whole row for {config.modality}, got "
                f"kind={one.kind!r}."
            )
    inputs, x = imported(_SEVERAL)(config, widths, dtype)
    return inputs, _Models(config.members[config.reader], widths, dtype).of_vector(x, head)


def _ended(outputs, head):
    """The outputs after the last layer of a model's head, or of each of its heads."""
    if isinstance(head, Heads):
        return {
            name: outputs[name] if (last := one.last_layer(f"{name}_")) is None
            else last(outputs[name])
            for name, one in head.heads.items()
        }  # fmt: skip
    last = None if head is None else head.last_layer()
    return outputs if last is None else last(outputs)


class _Models(Parts):
    """Builds the models of the three architectures."""

    def ends(self, head, known=None):
        """The inputs by name, those `known` among them, and the outputs before the last layer."""
        if self.config.architecture == "encoder":
            return self._encoder(head, known)
        return self._decoder(known or {})

    def _encoder(self, head, known):
        # Without a table of several segments nothing distinguishes the two rows.
        pair = head is not None and head.pair and self.config.num_segments > 1
        self.has_logits_bias = getattr(head, "kind", None) == "masked"
        inputs, x, mask = read_inputs(self, pair=pair, known=known)
        encoder = self.stack(Encoder, "encoder")
        encoder.reads_first = reads_first(self.config, head)
        x = encoder(x, mask=mask)
        if not isinstance(head, Heads):
            if self.has_logits_bias:
                return inputs, self._logits(self.masked_logits(x))
            if head is None or head.kind != "tokens":
                x = pool(self, x, mask)
            return inputs, self._head_outputs(x, head)
        kinds = {one.kind for one in head.heads.values()}
        pooled = None if kinds == {"tokens"} else pool(self, x, mask)
        return inputs, {
            name: self._head_outputs(x if one.kind == "tokens" else pooled, one, f"{name}_")
            for name, one in head.heads.items()
        }

    def of_vector(self, x, head):
        """The outputs of a head, or of several by name, on the vectors (B, D)."""
        if not isinstance(head, Heads):
            return self._head_outputs(x, head)
        return {name: self._head_outputs(x, one, f"{name}_") for name, one in head.heads.items()}

    def _head_outputs(self, x, head, prefix=""):
        """The outputs of a head on (B, D), or on (B, T, D)."""
        if head is not None and head.units is not None:
            # Where positions compete, as those of an answer do, a stored step makes ties of them.
            bits = dynamic_bits(self.bits) if head.kind == "tokens" else self.bits
            x = self.dropout(f"{prefix}head_dropout")(x)
            x = self.projection(head.units, f"{prefix}head", x.shape[-1], bits=bits)(x)
            x = self.point(f"{prefix}head_point", bits)(x)
        return ops.cast(x, "float32")

    def _logits(self, logits):
        return ops.cast(self.point("logits_point", dynamic_bits(self.bits))(logits), "float32")

    def _decoder(self, known):
        c = self.config
        cross_attention = c.architecture == "encoder-decoder"
        reads_ids = cross_attention and c.modality == "text"
        inputs = {
            name: known[name] if name in known else keras.Input((None,), dtype="int32", name=name)
            for name in (("source_ids", "ids") if reads_ids else ("ids",))
        }
        ids, memory = inputs["ids"], {}
        embedding = self.token_embedding()
        if cross_attention and not reads_ids:
            sources, x, mask = read_inputs(self, pair=False, known=known)
            inputs = {**sources, **inputs}
            memory = {"memory": self.stack(Encoder, "encoder")(x, mask=mask), "memory_mask": mask}
        elif cross_attention:
            source, read = inputs["source_ids"], embedding
            if c.source_vocab_size:
                read = self.token_embedding(c.source_vocab_size, "source_token_embedding")
            mask = ops.not_equal(source, PAD_ID)
            x = self._embed(source, read, "source_")
            memory = {"memory": self.stack(Encoder, "encoder")(x, mask=mask), "memory_mask": mask}
        x = self._embed(ids, embedding)
        stack = self.stack(Decoder, "decoder", cross_attention=cross_attention)
        x = stack(x, mask=ops.not_equal(ids, PAD_ID), **memory)
        if c.tied_head:
            logits = embedding(x, logits=True)
        else:
            logits = self.projection(
                c.vocab_size, LOGITS_HEAD, use_bias=c.logits_bias, bits=dynamic_bits(self.bits)
            )(x)
        return inputs, self._logits(logits)

    def _embed(self, ids, embedding, prefix=""):
        """(B, T) to (B, T, D), the input of a stack."""
        x = self.add_positions(embedding(ids), f"{prefix}position_embedding")
        if self.adds_positions or self.bits["inner_bits"] is None:
            # A device of integers stores a look-up once, in the steps of its table.
            x = self.embedding_point(f"{prefix}embedding_point")(x)
        x = self.normalized_embeddings(x, prefix)
        return self.dropout(f"{prefix}dropout" if prefix else "embedding_dropout")(x)


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the model's layers at every depth."""
    return list(model._flatten_layers())


def get_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the model's weights by path, random states left out."""
    return {weight.path: whole(weight.value) for weight in model.weights}


def shared_weights(model: keras.Model) -> dict[str, Any]:
    """Returns the model's weights by path, as the backend's tensors.

    In TensorFlow and JAX the models that these are assigned to share their memory, until one of
    them is trained.
    """
    return {weight.path: ops.convert_to_tensor(weight) for weight in model.weights}


def own_weights(model: keras.Model) -> None:
    """Gives a model memory of its own for weights that it shares: a step on JAX frees the old."""
    for weight in model.weights:
        weight.assign(ops.copy(weight.value))


def is_range(path: str) -> bool:
    """Whether a weight's path or name belongs to a bound of a quantization point."""
    return path.partition(":")[0].endswith(("range_min", "range_max"))


def set_weights(
    model: keras.Model, weights: Mapping[str, Any], *, ranges_missing: bool = False
) -> None:
    """Assigns weights by path, strictly.

    Args:
        model: model to assign to.
        weights: arrays or tensors by weight path, from `get_weights` or `shared_weights`.
        ranges_missing: whether the ranges of quantization points may be missing, as in the weights
            of a float model for a quantized one.

    Raises:
        InputError: if a weight is missing, unknown, or of another shape.
    """
    unknown = dict(weights)
    for variable in model.weights:
        if variable.path not in weights:
            if ranges_missing and is_range(variable.path):
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
