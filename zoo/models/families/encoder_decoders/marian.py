"""Marian's translators (Opus-MT): the original Transformer with sines in the first half."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    attention,
    computed,
    dense,
    layer_norm,
)

# Settings that are the same for encoder and decoder.
_BOTH = ("ffn_dim", "attention_heads")


def _settings(c: PublishedConfig) -> dict[str, Any]:
    settings = published_settings(c)
    c.expect("normalize_embedding", False)
    c.expect("decoder_vocab_size", settings["vocab_size"])
    c.expect("share_encoder_decoder_embeddings", True)
    return settings


def published_settings(c: PublishedConfig) -> dict[str, Any]:
    """Settings of Marian and of what has the same config.json."""
    width, heads = (c.integer(f"encoder_{name}") for name in _BOTH)
    for name, value in zip(_BOTH, (width, heads), strict=True):
        c.expect(f"decoder_{name}", value)
    c.expect("tie_word_embeddings", True)
    c.expect("is_encoder_decoder", True)
    for key in ("normalize_before", "add_final_layer_norm"):
        c.expect(key, False)
    # Dropouts that we have no name for.
    for key in (
        "activation_dropout", "add_bias_logits", "classif_dropout", "decoder_layerdrop",
        "encoder_layerdrop", "extra_pos_embeddings", "num_hidden_layers", "use_cache",
    ):  # fmt: skip
        c.get(key)
    return dict(
        architecture="encoder-decoder", vocab_size=c.integer("vocab_size"),
        max_length=c.integer("max_position_embeddings", 512), hidden_dim=c.integer("d_model"),
        intermediate_dim=width, **c.depths("encoder_layers", "decoder_layers"), num_heads=heads,
        activation=c.choice("activation_function", "gelu"), epsilon=1e-5,
        scale_embeddings=c.flag("scale_embedding", False), dropout=c.rate("dropout", 0.1),
        attention_dropout=c.rate("attention_dropout", 0.0), positions="learned",
        logits_bias=True,
    )  # fmt: skip


def _attention(ours: str, theirs: str) -> dict[str, Tensor]:
    return {
        **attention(ours, *(f"{theirs}.{name}_proj" for name in ("q", "k", "v", "out"))),
        **layer_norm(f"{ours}/norm", f"{theirs}_layer_norm"),
    }


def _stack(name: str) -> dict[str, Tensor]:
    ours, theirs = f"{name}/block_{{}}", f"{name}.layers.{{}}"
    return {
        **_attention(f"{ours}/attention", f"{theirs}.self_attn"),
        **dense(f"{ours}/feed_forward/sublayer/up", f"{theirs}.fc1"),
        **dense(f"{ours}/feed_forward/sublayer/down", f"{theirs}.fc2"),
        **layer_norm(f"{ours}/feed_forward/norm", f"{theirs}.final_layer_norm"),
    }


# What BART names alike.
STACKS = {
    "token_embedding/embeddings": Tensor("shared.weight").vocabulary(),
    "token_embedding/logits_bias": Tensor("final_logits_bias").row(0).vocabulary(),
    **_stack("encoder"),
    **_stack("decoder"),
    **_attention("decoder/block_{}/cross_attention", "decoder.layers.{}.encoder_attn"),
}
TIED = {
    "shared.weight": (
        "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight",
    )
}  # fmt: skip

MARIAN = Family(
    paper="Junczys-Dowmunt et al. 2018, arXiv:1804.00344",
    sizes={},
    published=Published(
        model_types=("marian",),
        settings=_settings,
        tensors={
            "source_position_embedding/embeddings": computed("sines_then_cosines"),
            "position_embedding/embeddings": computed("sines_then_cosines"),
            **STACKS,
        },
        stored={
            "source_position_embedding/embeddings": Tensor("encoder.embed_positions.weight"),
            "position_embedding/embeddings": Tensor("decoder.embed_positions.weight"),
        },
        prefixes=("model.",),
        tied=TIED,
    ),
)  # fmt: skip
