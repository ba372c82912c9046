"""DistilBERT: half of BERT's blocks, without segments and a pooler."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family
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


def _settings(c: PublishedConfig) -> dict[str, Any]:
    # Positions are in the file, whatever they were made of.
    for key in ("sinusoidal_pos_embds", "tie_weights_", "tie_word_embeddings"):
        c.get(key)
    return dict(
        architecture="encoder", vocab_size=c.integer("vocab_size"),
        max_length=c.integer("max_position_embeddings", 512), hidden_dim=c.integer("dim"),
        intermediate_dim=c.integer("hidden_dim"), num_layers=c.integer("n_layers"),
        num_heads=c.integer("n_heads"), activation=c.choice("activation", "gelu"),
        dropout=c.rate("dropout", 0.1), attention_dropout=c.rate("attention_dropout", 0.1),
        pooler="relu",
    )  # fmt: skip


_ATTENTION, _FEED_FORWARD = "encoder/block_{}/attention", "encoder/block_{}/feed_forward"
_BLOCK = "transformer.layer.{}"

DISTILBERT = Family(
    paper="Sanh et al. 2019, arXiv:1910.01108",
    sizes={},
    published=Published(
        model_types=("distilbert",),
        settings=_settings,
        tensors={
            "token_embedding/embeddings": Tensor("embeddings.word_embeddings.weight").vocabulary(),
            "position_embedding/embeddings": Tensor("embeddings.position_embeddings.weight"),
            **layer_norm("embedding_norm", "embeddings.LayerNorm"),
            **attention(
                _ATTENTION,
                *(f"{_BLOCK}.attention.{name}_lin" for name in ("q", "k", "v", "out")),
            ),
            **layer_norm(f"{_ATTENTION}/norm", f"{_BLOCK}.sa_layer_norm"),
            **dense(f"{_FEED_FORWARD}/sublayer/up", f"{_BLOCK}.ffn.lin1"),
            **dense(f"{_FEED_FORWARD}/sublayer/down", f"{_BLOCK}.ffn.lin2"),
            **layer_norm(f"{_FEED_FORWARD}/norm", f"{_BLOCK}.output_layer_norm"),
        },
        heads={
            "DistilBertForSequenceClassification": {
                **dense("pooler", "pre_classifier"), **dense("head", "classifier"),
            },
            **position_heads("DistilBert"),
        },
        masked_head=masked_head("vocab_transform", "vocab_layer_norm", "vocab_projector.bias"),
        left_out=(
            r"vocab_transform\..*", r"vocab_layer_norm\..*", r"vocab_projector\..*",
            r"pre_classifier\..*", r"classifier\..*", r"qa_outputs\..*",
        ),
        prefixes=("distilbert.",),
    ),
)  # fmt: skip
