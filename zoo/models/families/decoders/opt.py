"""OPT: GPT's decoder with ReLU, and positions that begin after two unused rows."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    attention,
    dense,
    layer_norm,
)

# Rows of the position table before the first token's.
_UNUSED = 2


def _settings(c: PublishedConfig) -> dict[str, Any]:
    hidden_dim = c.integer("hidden_size")
    c.expect("do_layer_norm_before", True)
    c.expect("_remove_final_layer_norm", False)
    c.expect("word_embed_proj_dim", hidden_dim)
    c.expect("enable_bias", True)
    c.expect("layer_norm_elementwise_affine", True)
    c.expect("tie_word_embeddings", True)
    # A dropout of 0 in every version.
    c.get("activation_dropout")
    return dict(
        architecture="decoder", vocab_size=c.integer("vocab_size"),
        max_length=c.integer("max_position_embeddings", 2048), hidden_dim=hidden_dim,
        intermediate_dim=c.integer("ffn_dim"), num_layers=c.integer("num_hidden_layers"),
        num_heads=c.integer("num_attention_heads"),
        activation=c.choice("activation_function", "relu"), dropout=c.rate("dropout", 0.1),
        attention_dropout=c.rate("attention_dropout", 0.0), epsilon=1e-5, pre_norm=True,
    )  # fmt: skip


_ATTENTION, _FEED_FORWARD = "decoder/block_{}/attention", "decoder/block_{}/feed_forward"
_BLOCK = "layers.{}"

OPT = Family(
    paper="Zhang et al. 2022, arXiv:2205.01068",
    sizes={},
    published=Published(
        model_types=("opt",),
        settings=_settings,
        tensors={
            "token_embedding/embeddings": Tensor("embed_tokens.weight").vocabulary(),
            "position_embedding/embeddings": Tensor("embed_positions.weight").from_row(_UNUSED),
            **layer_norm(f"{_ATTENTION}/norm", f"{_BLOCK}.self_attn_layer_norm"),
            **attention(
                _ATTENTION,
                *(f"{_BLOCK}.self_attn.{name}_proj" for name in ("q", "k", "v", "out")),
            ),
            **layer_norm(f"{_FEED_FORWARD}/norm", f"{_BLOCK}.final_layer_norm"),
            **dense(f"{_FEED_FORWARD}/sublayer/up", f"{_BLOCK}.fc1"),
            **dense(f"{_FEED_FORWARD}/sublayer/down", f"{_BLOCK}.fc2"),
            **layer_norm("decoder/final_norm", "final_layer_norm"),
        },
        prefixes=("model.", "decoder."),
        tied={"embed_tokens.weight": ("lm_head.weight",)},
    ),
)
