"""Qwen 2.5: Llama with biases of queries, keys and values; Qwen 3: with norms of heads."""

from typing import Any

from keras_transformer.zoo.models.families.decoders.llama import (
    ATTENTION,
    BODY,
    NAMES,
    published_settings,
)
from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import Published, PublishedConfig, Tensor
from keras_transformer.zoo.models.families.rotary import rotary_settings


def _settings(c: PublishedConfig) -> dict[str, Any]:
    c.expect("use_sliding_window", False)
    # Windows that are not used.
    for key in ("sliding_window", "max_window_layers"):
        c.get(key)
    settings = published_settings(c) | rotary_settings(c)
    c.expect("layer_types", None, ["full_attention"] * settings["num_layers"])
    return settings


def _qwen2(c: PublishedConfig) -> dict[str, Any]:
    settings = _settings(c)
    width = settings["hidden_dim"] // settings["num_heads"]
    return {**settings, "qkv_bias": True, "head_dim": c.integer("head_dim", width)}


def _qwen3(c: PublishedConfig) -> dict[str, Any]:
    c.expect("attention_bias", False)
    return {**_settings(c), "qk_norm": True, "head_dim": c.integer("head_dim", 128)}


QWEN2 = Family(
    paper="Qwen Team 2024, arXiv:2412.15115",
    sizes={},
    published=Published(
        model_types=("qwen2",),
        settings=_qwen2,
        tensors={
            **BODY,
            **{
                f"{ATTENTION}/sublayer/{name}/bias": Tensor(
                    f"layers.{{}}.self_attn.{name[0]}_proj.bias"
                )
                for name in ("query", "key", "value")
            },
        },
        **NAMES,
    ),
)
QWEN3 = Family(
    paper="Qwen Team 2025, arXiv:2505.09388",
    sizes={},
    published=Published(
        model_types=("qwen3",),
        settings=_qwen3,
        tensors={
            **BODY,
            f"{ATTENTION}/sublayer/query_norm/gamma": Tensor("layers.{}.self_attn.q_norm.weight"),
            f"{ATTENTION}/sublayer/key_norm/gamma": Tensor("layers.{}.self_attn.k_norm.weight"),
        },
        **NAMES,
    ),
)
