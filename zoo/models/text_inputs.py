"""Embedding of text: token ids, positions and segments as vectors."""

from collections.abc import Mapping

from keras import KerasTensor, ops

from keras_transformer.bits import dynamic_bits
from keras_transformer.embeddings import SegmentEmbedding, TokenEmbedding
from keras_transformer.zoo.modalities.text import PAD_ID
from keras_transformer.zoo.models.parts import Parts


def embed_text(parts: Parts, inputs: Mapping[str, KerasTensor]) -> tuple[KerasTensor, KerasTensor]:
    """Returns the sum of token, position and segment vectors, see `inputs.EMBEDDINGS`."""
    c, ids = parts.config, inputs["ids"]
    x = parts.add_positions(token_embedding(parts)(ids))
    x = parts.inner_point("position_sum_point")(x)
    if c.num_segments:
        segments = (inputs["segment_ids"],) if "segment_ids" in inputs else ()
        x = SegmentEmbedding(
            c.num_segments, bits=parts.bits, dtype=parts.dtype,
            name=parts.named("segment_embedding"),
        )(x, *segments)
        x = parts.inner_point("segment_sum_point")(x)
    return parts.embedded(x), ops.not_equal(ids, PAD_ID)


def token_embedding(
    parts: Parts, vocab_size: int | None = None, name: str = "token_embedding"
) -> TokenEmbedding:
    """Returns the token embedding of a vocabulary, by default the model's own."""
    c = parts.config
    # Vectors that are scaled by sqrt(D) have an initial variance of 1 after scaling.
    stddev = c.hidden_dim**-0.5 if c.scale_embeddings else 0.02
    made = TokenEmbedding(
        vocab_size or c.vocab_size, c.embedding_dim or c.hidden_dim,
        scale=c.hidden_dim**0.5 if c.scale_embeddings else 1.0,
        initializer_stddev=stddev, logits_bias=parts.has_logits_bias and vocab_size is None,
        bits=dynamic_bits(parts.bits), dtype=parts.dtype, name=parts.named(name),
    )  # fmt: skip
    parts.tables[name] = made
    return made
