"""BERT: an encoder with learned positions, segments and a pooler on the first token."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    attention,
    dense,
    layer_norm,
    masked_head,
    position_heads,
)


def _settings(num_layers: int, hidden_dim: int) -> dict[str, Any]:
    """The sizes of Turc et al. 2019, arXiv:1908.08962, table 1."""
    return dict(
        architecture="encoder", vocab_size=30_522, max_length=512, hidden_dim=hidden_dim,
        intermediate_dim=4 * hidden_dim, num_layers=num_layers, num_heads=hidden_dim // 64,
        num_segments=2,
    )  # fmt: skip


def pretraining_head_parameters(vocab_size: int, hidden_dim: int) -> int:
    """Parameters of BERT's two pre-training heads, which its published counts include.

    A dense layer with a norm, the bias of the tied logits, and next-sentence logits.
    """
    return hidden_dim * hidden_dim + hidden_dim + 2 * hidden_dim + vocab_size + 2 * hidden_dim + 2


def published_settings(c: PublishedConfig) -> dict[str, Any]:
    """Settings of BERT and of what has the same config.json."""
    c.expect("position_embedding_type", "absolute")
    c.expect("is_decoder", False)
    c.expect("add_cross_attention", False)
    # Of a pooler that no version computes, and of heads.
    for key in (
        "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
        "pooler_size_per_head", "pooler_type", "tie_word_embeddings",
    ):  # fmt: skip
        c.get(key)
    return dict(
        architecture="encoder", **c.sizes(512),
        activation=c.choice("hidden_act", "gelu"), dropout=c.rate("hidden_dropout_prob", 0.1),
        attention_dropout=c.rate("attention_probs_dropout_prob", 0.1),
        epsilon=c.rate("layer_norm_eps", 1e-12), num_segments=c.integer("type_vocab_size", 2),
    )  # fmt: skip


_ATTENTION, _BLOCK = "encoder/block_{}/attention", "encoder.layer.{}"
_SELF = f"{_BLOCK}.attention.self"
BODY = {
    "token_embedding/embeddings": Tensor("embeddings.word_embeddings.weight").vocabulary(),
    "position_embedding/embeddings": Tensor("embeddings.position_embeddings.weight"),
    "segment_embedding/embeddings": Tensor("embeddings.token_type_embeddings.weight"),
    **layer_norm("embedding_norm", "embeddings.LayerNorm"),
    **attention(
        _ATTENTION, f"{_SELF}.query", f"{_SELF}.key", f"{_SELF}.value",
        f"{_BLOCK}.attention.output.dense",
    ),
    **layer_norm(f"{_ATTENTION}/norm", f"{_BLOCK}.attention.output.LayerNorm"),
    **dense("encoder/block_{}/feed_forward/sublayer/up", f"{_BLOCK}.intermediate.dense"),
    **dense("encoder/block_{}/feed_forward/sublayer/down", f"{_BLOCK}.output.dense"),
    **layer_norm("encoder/block_{}/feed_forward/norm", f"{_BLOCK}.output.LayerNorm"),
}
# Buffers, and heads of pre-training and of tasks.
LEFT_OUT = (
    r"embeddings\.position_ids", r"embeddings\.token_type_ids", r"cls\..*", r"pooler\..*",
    r"lm_head\..*", r"classifier\..*", r"qa_outputs\..*",
)  # fmt: skip
PUBLISHED = Published(
    model_types=("bert",),
    settings=published_settings,
    tensors={**BODY, **dense("pooler", "pooler.dense")},
    heads={
        "BertForSequenceClassification": dense("head", "classifier"), **position_heads("Bert"),
    },
    masked_head=masked_head(
        "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm",
        "cls.predictions.bias",
    ),
    left_out=LEFT_OUT,
    prefixes=("bert.",),
)

BERT = Family(
    paper="Devlin et al. 2018, arXiv:1810.04805",
    sizes={
        "bert_tiny": Size(
            settings=_settings(2, 128), parameters=4_385_920, multiply_adds=58_736_640
        ),
        "bert_mini": Size(
            settings=_settings(4, 256), parameters=11_170_560, multiply_adds=436_273_152
        ),
        "bert_small": Size(
            settings=_settings(4, 512), parameters=28_763_648, multiply_adds=1_677_983_744
        ),
        "bert_medium": Size(
            settings=_settings(8, 512), parameters=41_373_184, multiply_adds=3_355_705_344
        ),
        "bert_base": Size(
            settings=_settings(12, 768), parameters=109_482_240, multiply_adds=11_174_215_680
        ),
    },
    published=PUBLISHED,
)
