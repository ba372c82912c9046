"""GPT-2: a decoder with pre-norm blocks, tanh GELU, learned positions and tied logits."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    layer_norm,
)


def _settings(
    num_layers: int, hidden_dim: int, num_heads: int, max_length: int
) -> dict[str, Any]:
    return dict(
        architecture="decoder", vocab_size=50_257, max_length=max_length, hidden_dim=hidden_dim,
        intermediate_dim=4 * hidden_dim, num_layers=num_layers, num_heads=num_heads,
        activation="gelu_tanh", pre_norm=True, epsilon=1e-5,
    )  # fmt: skip


def _published_settings(c: PublishedConfig) -> dict[str, Any]:
    hidden_dim = c.integer("n_embd")
    c.expect("scale_attn_weights", True)
    c.expect("scale_attn_by_inverse_layer_idx", False)
    c.expect("add_cross_attention", False)
    c.expect("tie_word_embeddings", True)
    # The same numbers in another order of operations, and an old name of `n_positions`.
    for key in ("reorder_and_upcast_attn", "n_ctx", "resid_pdrop"):
        c.get(key)
    return dict(
        architecture="decoder", vocab_size=c.integer("vocab_size"),
        max_length=c.integer("n_positions", 1024), hidden_dim=hidden_dim,
        intermediate_dim=c.integer("n_inner", 4 * hidden_dim), num_layers=c.integer("n_layer"),
        num_heads=c.integer("n_head"), activation=c.choice("activation_function", "gelu_new"),
        epsilon=c.rate("layer_norm_epsilon", 1e-5), pre_norm=True,
        dropout=c.rate("embd_pdrop", 0.1), attention_dropout=c.rate("attn_pdrop", 0.1),
    )  # fmt: skip


def _convolution(ours: str, theirs: str) -> dict[str, Tensor]:
    """A kernel that is (in, out) already."""
    return {f"{ours}/kernel": Tensor(f"{theirs}.weight"), f"{ours}/bias": Tensor(f"{theirs}.bias")}


_ATTENTION, _FEED_FORWARD = "decoder/block_{}/attention", "decoder/block_{}/feed_forward"
_FUSED = {
    f"{_ATTENTION}/sublayer/{name}/{kind}": Tensor(f"h.{{}}.attn.c_attn.{theirs}").part(index, 3)
    for index, name in enumerate(("query", "key", "value"))
    for kind, theirs in (("kernel", "weight"), ("bias", "bias"))
}
PUBLISHED = Published(
    model_types=("gpt2",),
    settings=_published_settings,
    tensors={
        "token_embedding/embeddings": Tensor("wte.weight").vocabulary(),
        "position_embedding/embeddings": Tensor("wpe.weight"),
        **layer_norm(f"{_ATTENTION}/norm", "h.{}.ln_1"),
        **_FUSED,
        **_convolution(f"{_ATTENTION}/sublayer/output", "h.{}.attn.c_proj"),
        **layer_norm(f"{_FEED_FORWARD}/norm", "h.{}.ln_2"),
        **_convolution(f"{_FEED_FORWARD}/sublayer/up", "h.{}.mlp.c_fc"),
        **_convolution(f"{_FEED_FORWARD}/sublayer/down", "h.{}.mlp.c_proj"),
        **layer_norm("decoder/final_norm", "ln_f"),
    },
    # Buffers of the causal mask.
    left_out=(r"h\.\d+\.attn\.(bias|masked_bias)",),
    prefixes=("transformer.",),
    # Its logits are around -100.
    absent_logit=-256.0,
    tied={"wte.weight": ("lm_head.weight",)},
)

GPT = Family(
    paper="Radford et al. 2019",
    sizes={
        "gpt_nano": Size(
            settings=_settings(3, 48, 3, 128), parameters=2_503_392, multiply_adds=324_114_432
        ),
        "gpt_tiny": Size(
            settings=_settings(4, 128, 4, 256), parameters=7_259_008, multiply_adds=940_851_200
        ),
        "gpt_small": Size(
            settings=_settings(12, 768, 12, 1024), parameters=124_439_808,
            multiply_adds=16_114_089_984,
        ),
    },
    published=PUBLISHED,
)  # fmt: skip
