"""ALBERT: BERT whose blocks share their weights, with narrow embeddings."""

from typing import Any

from keras_transformer.zoo.models.families.encoders.bert import BODY, published_settings
from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    attention,
    dense,
    layer_norm,
    masked_head,
    position_heads,
)


def _settings(c: PublishedConfig) -> dict[str, Any]:
    c.expect("num_hidden_groups", 1)
    c.expect("inner_group_num", 1)
    # Of version 1 in TensorFlow, and of nothing.
    for key in ("net_structure_type", "gap_size", "num_memory_blocks", "down_scale_factor"):
        c.get(key)
    settings = published_settings(c)
    return {
        **settings, "activation": c.choice("hidden_act", "gelu_new"), "share_layers": True,
        "embedding_dim": c.integer("embedding_size", 128),
        "dropout": c.rate("hidden_dropout_prob", 0.0),
        "attention_dropout": c.rate("attention_probs_dropout_prob", 0.0),
    }  # fmt: skip


# One block for all.
_ATTENTION, _FEED_FORWARD = "encoder/block_{}/attention", "encoder/block_{}/feed_forward"
_BLOCK = "encoder.albert_layer_groups.0.albert_layers.0"

ALBERT = Family(
    paper="Lan et al. 2020, arXiv:1909.11942",
    sizes={},
    published=Published(
        model_types=("albert",),
        settings=_settings,
        tensors={
            **{path: tensor for path, tensor in BODY.items() if not path.startswith("encoder/")},
            **dense("embedding_projection", "encoder.embedding_hidden_mapping_in"),
            **attention(
                _ATTENTION,
                *(f"{_BLOCK}.attention.{name}" for name in ("query", "key", "value", "dense")),
            ),
            **layer_norm(f"{_ATTENTION}/norm", f"{_BLOCK}.attention.LayerNorm"),
            **dense(f"{_FEED_FORWARD}/sublayer/up", f"{_BLOCK}.ffn"),
            **dense(f"{_FEED_FORWARD}/sublayer/down", f"{_BLOCK}.ffn_output"),
            **layer_norm(f"{_FEED_FORWARD}/norm", f"{_BLOCK}.full_layer_layer_norm"),
            **dense("pooler", "pooler"),
        },
        heads={
            "AlbertForSequenceClassification": dense("head", "classifier"),
            **position_heads("Albert"),
        },
        masked_head=masked_head("predictions.dense", "predictions.LayerNorm", "predictions.bias"),
        left_out=(
            r"embeddings\.(position|token_type)_ids", r"predictions\..*", r"sop_classifier\..*",
            r"pooler\..*", r"classifier\..*", r"qa_outputs\..*",
        ),
        prefixes=("albert.",),
    ),
)  # fmt: skip
