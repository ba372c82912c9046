"""Pythia (GPT-NeoX): attention and feed-forward in parallel, a quarter of each head rotated."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    dense,
    layer_norm,
)
from keras_transformer.zoo.models.families.rotary import rotary_settings


def _settings(c: PublishedConfig) -> dict[str, Any]:
    c.expect("attention_bias", True)
    c.expect("is_decoder", False, True)
    theta, fraction = c.number("rotary_emb_base", 10_000.0), c.number("rotary_pct", 0.25)
    return dict(
        architecture="decoder", **c.sizes(2048),
        activation=c.choice("hidden_act", "gelu"), epsilon=c.rate("layer_norm_eps", 1e-5),
        pre_norm=True, parallel_residual=c.flag("use_parallel_residual", True),
        positions="rotary", **rotary_settings(c, theta=theta, fraction=fraction),
        dropout=c.rate("hidden_dropout", 0.0), attention_dropout=c.rate("attention_dropout", 0.0),
        tied_head=c.flag("tie_word_embeddings", False),
    )  # fmt: skip


_ATTENTION, _FEED_FORWARD = "decoder/block_{}/attention", "decoder/block_{}/feed_forward"
_FUSED = "layers.{}.attention.query_key_value"

PYTHIA = Family(
    paper="Biderman et al. 2023, arXiv:2304.01373",
    sizes={},
    published=Published(
        model_types=("gpt_neox",),
        settings=_settings,
        tensors={
            "token_embedding/embeddings": Tensor("embed_in.weight").vocabulary(),
            **layer_norm(f"{_ATTENTION}/norm", "layers.{}.input_layernorm"),
            **{
                f"{_ATTENTION}/sublayer/{name}/{kind}": tensor.head_part(index, 3)
                for index, name in enumerate(("query", "key", "value"))
                for kind, tensor in (
                    ("kernel", Tensor(f"{_FUSED}.weight").transposed()),
                    ("bias", Tensor(f"{_FUSED}.bias")),
                )
            },
            **dense(f"{_ATTENTION}/sublayer/output", "layers.{}.attention.dense"),
            **layer_norm(f"{_FEED_FORWARD}/norm", "layers.{}.post_attention_layernorm"),
            **dense(f"{_FEED_FORWARD}/sublayer/up", "layers.{}.mlp.dense_h_to_4h"),
            **dense(f"{_FEED_FORWARD}/sublayer/down", "layers.{}.mlp.dense_4h_to_h"),
            **layer_norm("decoder/final_norm", "final_layer_norm"),
            "logits_head/kernel": Tensor("embed_out.weight").vocabulary().transposed(),
        },
        # Buffers of the causal mask and of rotations.
        left_out=(r"layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)",),
        prefixes=("gpt_neox.",),
        tied={"embed_in.weight": ("embed_out.weight",)},
    ),
)
