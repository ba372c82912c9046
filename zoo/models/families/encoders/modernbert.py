"""ModernBERT: pre-norm, gated, rotary, with windows in two of three blocks.

Its embeddings have a norm, and so the attention of the first block has none.
"""

from typing import Any

from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    computed,
    dense,
)
from keras_transformer.zoo.models.families.rotary import local_settings


def _settings(c: PublishedConfig) -> dict[str, Any]:
    for key in ("attention_bias", "mlp_bias", "norm_bias"):
        c.expect(key, False)
    # Of heads, of kernels of GPUs, and dropouts that we have no name for.
    for key in (
        "classifier_activation", "classifier_bias", "classifier_pooling", "cls_token_id",
        "compile_mode", "decoder_bias", "deterministic_flash_attn", "embedding_dropout",
        "initializer_cutoff_factor", "layer_norm_eps", "position_embedding_type",
        "reference_compile", "repad_logits_with_grad", "sparse_pred_ignore_index",
        "sparse_prediction", "tie_word_embeddings",
    ):  # fmt: skip
        c.get(key)
    local = local_settings(
        c, {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"},
        full_attention=160_000.0, sliding_attention=10_000.0,
    )  # fmt: skip
    period = c.integer("global_attn_every_n_layers", 3)
    return {
        **dict(
            architecture="encoder", **c.sizes(8192),
            activation=c.choice("hidden_activation", "gelu"), gated=True,
            epsilon=c.rate("norm_eps", 1e-5), pre_norm=True, use_bias=False,
            embedding_norm=True, first_norm=False, positions="rotary",
            dropout=c.rate("mlp_dropout", 0.0),
            attention_dropout=c.rate("attention_dropout", 0.0),
            # Half of it is before a position and half after it, which is itself in neither.
            window=c.integer("local_attention", 128) // 2 + 1,
            layer_pattern="G" + "L" * (period - 1),
        ),
        **local,
    }  # fmt: skip


def _norm(ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{ours}/gamma": Tensor(f"{theirs}.weight"), f"{ours}/beta": computed("zeros")}


_ATTENTION, _FEED_FORWARD = "encoder/block_{}/attention", "encoder/block_{}/feed_forward"
_HIDDEN = Tensor("layers.{}.mlp.Wi.weight").transposed()

MODERNBERT = Family(
    paper="Warner et al. 2024, arXiv:2412.13663",
    sizes={},
    published=Published(
        model_types=("modernbert",),
        settings=_settings,
        tensors={
            "token_embedding/embeddings": Tensor("embeddings.tok_embeddings.weight").vocabulary(),
            **_norm("embedding_norm", "embeddings.norm"),
            **_norm(f"{_ATTENTION}/norm", "layers.{}.attn_norm"),
            **{
                f"{_ATTENTION}/sublayer/{name}/kernel": Tensor("layers.{}.attn.Wqkv.weight")
                .transposed()
                .part(index, 3)
                for index, name in enumerate(("query", "key", "value"))
            },
            **dense(f"{_ATTENTION}/sublayer/output", "layers.{}.attn.Wo", bias=False),
            **_norm(f"{_FEED_FORWARD}/norm", "layers.{}.mlp_norm"),
            f"{_FEED_FORWARD}/sublayer/gate/kernel": _HIDDEN.part(0, 2),
            f"{_FEED_FORWARD}/sublayer/up/kernel": _HIDDEN.part(1, 2),
            **dense(f"{_FEED_FORWARD}/sublayer/down", "layers.{}.mlp.Wo", bias=False),
            **_norm("encoder/final_norm", "final_norm"),
        },
        left_out=(r"head\..*", r"decoder\..*", r"classifier\..*"),
        prefixes=("model.",),
    ),
)
