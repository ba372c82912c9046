"""BART: an encoder-decoder with learned positions and a norm of the embeddings."""

from typing import Any

from keras_transformer.zoo.models.families.encoder_decoders.marian import (
    STACKS,
    TIED,
    published_settings,
)
from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    layer_norm,
)

# Rows of the position tables before the first token's.
_UNUSED = 2


def _settings(c: PublishedConfig) -> dict[str, Any]:
    c.expect("normalize_embedding", True)
    c.expect("is_decoder", False)
    # The decoder starts with the end of a text, not with padding that has a row of its own.
    c.expect("decoder_start_token_id", 2)
    return {**published_settings(c), "embedding_norm": True}


BART = Family(
    paper="Lewis et al. 2019, arXiv:1910.13461",
    sizes={},
    published=Published(
        model_types=("bart",),
        settings=_settings,
        tensors={
            **STACKS,
            "source_position_embedding/embeddings": Tensor(
                "encoder.embed_positions.weight"
            ).from_row(_UNUSED),
            "position_embedding/embeddings": Tensor("decoder.embed_positions.weight").from_row(
                _UNUSED
            ),
            **layer_norm("source_embedding_norm", "encoder.layernorm_embedding"),
            **layer_norm("embedding_norm", "decoder.layernorm_embedding"),
        },
        left_out=(r"classification_head\..*",),
        prefixes=("model.",),
        tied=TIED,
        only_trained="reads sources between <s> and </s> and writes after </s>",
    ),
)
