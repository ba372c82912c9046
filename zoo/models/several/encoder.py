"""The encoder of several kinds of rows: the encoders of the kinds, and what makes one of them."""

import dataclasses
from collections.abc import Mapping

from keras import KerasTensor, ops

from keras_transformer.cross_encoder import CrossEncoder
from keras_transformer.kinds import JoinedSequences, JoinedVectors, KindEmbedding
from keras_transformer.stacks import Encoder
from keras_transformer.zoo.layer_names import prefix_of_kind
from keras_transformer.zoo.models.inputs import read_inputs
from keras_transformer.zoo.models.parts import Parts
from keras_transformer.zoo.models.pooling import pool
from keras_transformer.zoo.models.several_config import SeveralConfig

# Prefix of the names of the blocks in which the text attends to the others.
CROSS = "cross_"


def encode_several(
    config: SeveralConfig, bits: Mapping[str, int | None], dtype: str
) -> tuple[dict[str, KerasTensor], KerasTensor]:
    """Returns the inputs by name and the vectors (B, D) of the whole rows.

    Args:
        config: config of the encoder.
        bits: bit widths, with every name of `keras_transformer.bits`.
        dtype: Keras dtype policy of the layers.
    """
    return _FUSIONS[config.fusion](config, bits, dtype)


def _late(config, bits, dtype):
    inputs, vectors = {}, []
    for parts in _parts_of(config, bits, dtype):
        read, x, mask = _encoded(parts)
        inputs |= read
        vectors.append(pool(parts, x, mask))
    reader = config.members[config.reader]
    joined = JoinedVectors(
        config.hidden_dim, activation=reader.activation, rank=reader.rank, bits=bits, dtype=dtype,
        name="joined",
    )  # fmt: skip
    return inputs, joined(vectors)


def _joint(config, bits, dtype):
    inputs, sequences, masks = {}, {}, {}
    for name, one in config.members.items():
        # The norm of the stack's input, if there is one, is that of the whole sequence: before it
        # nothing is stored.
        before = dataclasses.replace(one, pre_norm=True, embedding_norm=False)
        parts = Parts(before, bits, dtype, prefix_of_kind(name))
        read, x, masks[name] = read_inputs(parts, pair=False)
        inputs |= read
        sequences[name] = KindEmbedding(bits=bits, dtype=dtype, name=parts.named("kind"))(x)
    # The first place is that of the reader's first token, which may be pooled.
    order = sorted(sequences, key=lambda name: name != config.reader)
    whole = Parts(config.members[config.reader], bits, dtype)
    one_sequence = JoinedSequences(bits=bits, dtype=dtype, name="sequence")
    x = one_sequence([sequences[name] for name in order])
    x = whole.normalized_embeddings(whole.embedding_point("embedding_point")(x))
    # No kind but a text is padded, and a text is the reader.
    more = sum(sequences[name].shape[1] for name in order[1:])
    mask = masks[config.reader]
    if mask is not None:
        padded = ops.pad(ops.cast(mask, "int32"), ((0, 0), (0, more)), constant_values=1)
        mask = ops.not_equal(padded, 0)
    x = whole.stack(Encoder, "encoder")(x, mask=mask)
    return inputs, pool(whole, x, mask)


def _cross(config, bits, dtype):
    inputs, outputs, masks = {}, {}, {}
    for parts in _parts_of(config, bits, dtype):
        name = parts.config.modality
        read, outputs[name], masks[name] = _encoded(parts)
        inputs |= read
    x, mask = outputs.pop(config.reader), masks[config.reader]
    reader = config.members[config.reader]
    blocks = dataclasses.replace(
        reader, num_layers=config.fusion_layers, share_layers=False, window=0, layer_pattern="L",
        local_rope_theta=0.0, first_norm=True,
    )  # fmt: skip
    parts = Parts(blocks, bits, dtype, CROSS)
    (name, memory), *more = outputs.items()
    if more:
        sequence = JoinedSequences(bits=bits, dtype=dtype, name=parts.named("memory"))
        memory = sequence(list(outputs.values()))
    if more or not config.members[name].pre_norm:
        # What a last norm gives is stored already.
        memory = parts.point("memory_point")(memory)
    x = parts.stack(CrossEncoder, "encoder")(x, memory, mask=mask)
    return inputs, pool(parts, x, mask)


_FUSIONS = {"late": _late, "joint": _joint, "cross": _cross}


def _parts_of(config, bits, dtype):
    """The parts of each member."""
    for name, one in config.members.items():
        yield Parts(one, bits, dtype, prefix_of_kind(name))


def _encoded(parts):
    """The inputs of a member, its outputs (B, T, D) and their mask, or None."""
    inputs, x, mask = read_inputs(parts, pair=False)
    return inputs, parts.stack(Encoder, "encoder")(x, mask=mask), mask
