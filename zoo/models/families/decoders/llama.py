"""Llama, at sizes of our own, and published: Llama 2 and 3, TinyLlama, SmolLM2.

RMSNorm before each sublayer, SwiGLU of 8/3 the width, rotary positions, no bias; grouped heads of
keys and values are Llama 2's. Unlike in its large models, logits are tied in ours.
"""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    attention,
    dense,
)
from keras_transformer.zoo.models.families.rotary import rotary_settings


def _settings(
    num_layers: int, hidden_dim: int, num_heads: int, num_key_value_heads: int, vocab_size: int,
    max_length: int,
) -> dict[str, Any]:  # fmt: skip
    return dict(
        architecture="decoder", vocab_size=vocab_size, max_length=max_length,
        hidden_dim=hidden_dim, intermediate_dim=8 * hidden_dim // 3, num_layers=num_layers,
        num_heads=num_heads, num_key_value_heads=num_key_value_heads, dropout=0.0,
        attention_dropout=0.0, activation="silu", gated=True, norm="rms_norm", epsilon=1e-5,
        pre_norm=True, use_bias=False, positions="rotary",
    )  # fmt: skip


def published_settings(c: PublishedConfig, *, tied: bool = False) -> dict[str, Any]:
    """Settings of Llama and of what has the same config.json."""
    sizes = c.sizes(2048)
    return dict(
        architecture="decoder", **sizes,
        num_key_value_heads=c.integer("num_key_value_heads", sizes["num_heads"]),
        activation=c.choice("hidden_act", "silu"), gated=True, norm="rms_norm",
        epsilon=c.rate("rms_norm_eps", 1e-6), pre_norm=True, use_bias=False, positions="rotary",
        dropout=0.0, attention_dropout=c.rate("attention_dropout", 0.0),
        tied_head=c.flag("tie_word_embeddings", tied),
    )  # fmt: skip


def _llama(c: PublishedConfig) -> dict[str, Any]:
    settings = published_settings(c)
    c.expect("attention_bias", False)
    c.expect("mlp_bias", False)
    # How SmolLM2 orders heads in training, not in the file.
    c.get("rope_interleaved")
    width = settings["hidden_dim"] // settings["num_heads"]
    return {**settings, **rotary_settings(c), "head_dim": c.integer("head_dim", width)}


ATTENTION, FEED_FORWARD = "decoder/block_{}/attention", "decoder/block_{}/feed_forward"
BODY = {
    "token_embedding/embeddings": Tensor("embed_tokens.weight").vocabulary(),
    f"{ATTENTION}/norm/gamma": Tensor("layers.{}.input_layernorm.weight"),
    **attention(
        ATTENTION, *(f"layers.{{}}.self_attn.{name}_proj" for name in "qkvo"), bias=False
    ),
    f"{FEED_FORWARD}/norm/gamma": Tensor("layers.{}.post_attention_layernorm.weight"),
    **dense(f"{FEED_FORWARD}/sublayer/gate", "layers.{}.mlp.gate_proj", bias=False),
    **dense(f"{FEED_FORWARD}/sublayer/up", "layers.{}.mlp.up_proj", bias=False),
    **dense(f"{FEED_FORWARD}/sublayer/down", "layers.{}.mlp.down_proj", bias=False),
    "decoder/final_norm/gamma": Tensor("norm.weight"),
    "logits_head/kernel": Tensor("lm_head.weight").vocabulary().transposed(),
}
# What is the same for all decoders with these names.
NAMES: dict[str, Any] = dict(
    left_out=(r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq",),
    prefixes=("model.",),
    tied={"embed_tokens.weight": ("lm_head.weight",)},
)

LLAMA = Family(
    paper="Touvron et al. 2023, arXiv:2302.13971, section 2.2",
    sizes={
        "llama_nano": Size(
            settings=_settings(4, 192, 6, 2, 8192, 256), parameters=3_147_456,
            multiply_adds=427_819_008,
        ),
        "llama_tiny": Size(
            settings=_settings(6, 288, 6, 2, 32_000, 512), parameters=14_528_160,
            multiply_adds=1_915_748_352,
        ),
    },
    published=Published(model_types=("llama",), settings=_llama, tensors=BODY, **NAMES),
)  # fmt: skip
