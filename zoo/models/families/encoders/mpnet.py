"""MPNet: BERT without segments, with T5's bias of the scores beside learned positions."""

from typing import Any

from keras_transformer.zoo.models.families.encoders.bert import BODY, LEFT_OUT, published_settings
from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    attention,
    dense,
    layer_norm,
    position_heads,
)

# Rows of the position table before the first token's: up to the padding's id, and itself.
_UNUSED = 2


def _settings(c: PublishedConfig) -> dict[str, Any]:
    c.expect("pad_token_id", _UNUSED - 1)
    c.expect("relative_attention_num_buckets", 32)
    settings = published_settings(c)
    return {
        **settings, "max_length": settings["max_length"] - _UNUSED, "num_segments": 0,
        "position_bias": "t5",
    }  # fmt: skip


_ATTENTION, _BLOCK = "encoder/block_{}/attention", "encoder.layer.{}.attention"

MPNET = Family(
    paper="Song et al. 2020, arXiv:2004.09297",
    sizes={},
    published=Published(
        model_types=("mpnet",),
        settings=_settings,
        tensors={
            **BODY,
            "position_embedding/embeddings": Tensor(
                "embeddings.position_embeddings.weight"
            ).from_row(_UNUSED),
            "encoder/position_bias/embeddings": Tensor("encoder.relative_attention_bias.weight"),
            **attention(_ATTENTION, *(f"{_BLOCK}.attn.{name}" for name in "qkvo")),
            **layer_norm(f"{_ATTENTION}/norm", f"{_BLOCK}.LayerNorm"),
            **dense("pooler", "pooler.dense"),
        },
        heads={
            "MPNetForSequenceClassification": {
                **dense("pooler", "classifier.dense"), **dense("head", "classifier.out_proj"),
            },
            **position_heads("MPNet"),
        },
        left_out=LEFT_OUT,
        prefixes=("mpnet.",),
    ),
)  # fmt: skip
