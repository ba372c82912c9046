"""Gemma 3: norms before and after each sublayer, windows in most blocks, two thetas.

Its norms scale by one plus the weight in the file.
"""

from typing import Any

from keras_transformer.zoo.models.families.decoders.llama import (
    ATTENTION,
    BODY,
    FEED_FORWARD,
    NAMES,
    published_settings,
)
from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import Published, PublishedConfig, Tensor
from keras_transformer.zoo.models.families.rotary import local_settings


def _settings(c: PublishedConfig) -> dict[str, Any]:
    settings = published_settings(c, tied=True)
    head_dim = c.integer("head_dim", 256)
    c.expect("query_pre_attn_scalar", 256 if head_dim == 256 else head_dim, head_dim)
    c.expect("attention_bias", False)
    c.expect("use_bidirectional_attention", False)
    for key in ("attn_logit_softcapping", "final_logit_softcapping"):
        c.expect(key, None)
    local = local_settings(
        c, {"full_attention": "rope_theta", "sliding_attention": "rope_local_base_freq"},
        full_attention=1e6, sliding_attention=1e4,
    )  # fmt: skip
    # The underscored key is written, and never read.
    c.get("_sliding_window_pattern")
    period = c.integer("sliding_window_pattern", 6)
    return {
        **settings, "layer_pattern": "L" * (period - 1) + "G", **local,
        "activation": c.choice("hidden_activation", "gelu_pytorch_tanh"), "head_dim": head_dim,
        "window": c.integer("sliding_window", 4096), "qk_norm": True, "sandwich_norms": True,
        "scale_embeddings": True,
    }  # fmt: skip


def _norm(name: str) -> Tensor:
    return Tensor(f"{name}.weight").plus_one()


GEMMA = Family(
    paper="Gemma Team 2025, arXiv:2503.19786",
    sizes={},
    published=Published(
        model_types=("gemma3_text",),
        settings=_settings,
        tensors={
            **BODY,
            f"{ATTENTION}/norm/gamma": _norm("layers.{}.input_layernorm"),
            f"{ATTENTION}/post_norm/gamma": _norm("layers.{}.post_attention_layernorm"),
            f"{ATTENTION}/sublayer/query_norm/gamma": _norm("layers.{}.self_attn.q_norm"),
            f"{ATTENTION}/sublayer/key_norm/gamma": _norm("layers.{}.self_attn.k_norm"),
            f"{FEED_FORWARD}/norm/gamma": _norm("layers.{}.pre_feedforward_layernorm"),
            f"{FEED_FORWARD}/post_norm/gamma": _norm("layers.{}.post_feedforward_layernorm"),
            "decoder/final_norm/gamma": _norm("norm"),
        },
        **NAMES,
    ),
)
