"""Llama, at sizes of our own.

RMSNorm before each sublayer, SwiGLU of 8/3 the width, rotary positions, no bias; grouped heads of
keys and values are Llama 2's. Unlike in its large models, logits are tied.
"""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size


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
)  # fmt: skip
