"""Embedding of text: token ids, positions and segments as vectors."""

from collections.abc import Mapping

from keras import KerasTensor, ops

from keras_transformer.embeddings import SegmentEmbedding
from keras_transformer.zoo.modalities.text import PAD_ID
from keras_transformer.zoo.models.parts import Parts


def embed_text(parts: Parts, inputs: Mapping[str, KerasTensor]) -> tuple[KerasTensor, KerasTensor]:
    """Returns the sum of token, position and segment vectors, see `inputs.EMBEDDINGS`."""
    c, ids = parts.config, inputs["ids"]
    x = parts.add_positions(parts.token_embedding()(ids))
    if parts.adds_positions:
        x = parts.inner_point("position_sum_point")(x)
    if c.num_segments:
        segments = (inputs["segment_ids"],) if "segment_ids" in inputs else ()
        x = SegmentEmbedding(
            c.num_segments, bits=parts.bits, dtype=parts.dtype,
            name=parts.named("segment_embedding"),
        )(x, *segments)
        x = parts.inner_point("segment_sum_point")(x)
    return parts.embedded(x), ops.not_equal(ids, PAD_ID)
