"""T5 (with T5 1.1, Flan-T5) and mT5: encoder-decoders with relative positions and no biases.

They do not scale scores, and T5 1.0 scales its tied logits: both become parts of weights.
"""

from collections.abc import Callable
from typing import Any

from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import Published, PublishedConfig, Tensor

# `feed_forward_proj` -> activation, and whether the layer is gated.
_FEED_FORWARDS = {
    "relu": ("relu", False),
    "gated-gelu": ("gelu_tanh", True),
    "gated-silu": ("silu", True),
}


def _t5(c: PublishedConfig) -> dict[str, Any]:
    # Logits are scaled where they are tied; later files say so by a key of its own.
    tied = c.flag("tie_word_embeddings", True)
    return {**_settings(c), "tied_head": c.flag("scale_decoder_outputs", tied)}


def _mt5(c: PublishedConfig) -> dict[str, Any]:
    c.get("tie_word_embeddings")
    return {**_settings(c), "tied_head": False}


def _settings(c: PublishedConfig) -> dict[str, Any]:
    activation, gated = c.choice("feed_forward_proj", "relu", _FEED_FORWARDS)
    c.expect("relative_attention_num_buckets", 32)
    c.expect("relative_attention_max_distance", 128)
    c.expect("is_encoder_decoder", True)
    # What follows from the keys above.
    for key in ("dense_act_fn", "is_gated_act", "n_positions"):
        c.get(key)
    return dict(
        architecture="encoder-decoder", vocab_size=c.integer("vocab_size"), max_length=512,
        hidden_dim=c.integer("d_model"), intermediate_dim=c.integer("d_ff"),
        **c.depths("num_layers", "num_decoder_layers"), num_heads=c.integer("num_heads"),
        head_dim=c.integer("d_kv", 64), activation=activation,
        gated=gated, norm="rms_norm", epsilon=c.rate("layer_norm_epsilon", 1e-6), pre_norm=True,
        use_bias=False, positions="t5", dropout=c.rate("dropout_rate", 0.1),
        attention_dropout=c.rate("dropout_rate", 0.1),
    )  # fmt: skip


def _attention(ours: str, theirs: str, norm: str) -> dict[str, Tensor]:
    def kernel(name: str) -> Tensor:
        return Tensor(f"{theirs}.{name}.weight").transposed()

    return {
        f"{ours}/norm/gamma": Tensor(f"{norm}.layer_norm.weight"),
        f"{ours}/sublayer/query/kernel": kernel("q").scaled("head_width", 0.5),
        f"{ours}/sublayer/key/kernel": kernel("k"),
        f"{ours}/sublayer/value/kernel": kernel("v"),
        f"{ours}/sublayer/output/kernel": kernel("o"),
    }


def _stack(name: str, feed_forward: int) -> dict[str, Tensor]:
    """The tensors of a stack whose last sublayer has that number."""
    block, ours = f"{name}.block.{{}}.layer", f"{name}/block_{{}}"
    last = f"{block}.{feed_forward}"
    bias = f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    return {
        f"{name}/position_bias/embeddings": Tensor(bias),
        **_attention(f"{ours}/attention", f"{block}.0.SelfAttention", f"{block}.0"),
        f"{ours}/feed_forward/norm/gamma": Tensor(f"{last}.layer_norm.weight"),
        f"{ours}/feed_forward/sublayer/up/kernel": Tensor(
            f"{last}.DenseReluDense.wi.weight"
        ).transposed(),
        f"{ours}/feed_forward/sublayer/down/kernel": Tensor(
            f"{last}.DenseReluDense.wo.weight"
        ).transposed(),
        f"{name}/final_norm/gamma": Tensor(f"{name}.final_layer_norm.weight"),
    }


def _gated(name: str, feed_forward: int) -> dict[str, Tensor]:
    inner = f"{name}.block.{{}}.layer.{feed_forward}.DenseReluDense"
    ours = f"{name}/block_{{}}/feed_forward/sublayer"
    return {
        f"{ours}/gate/kernel": Tensor(f"{inner}.wi_0.weight").transposed(),
        f"{ours}/up/kernel": Tensor(f"{inner}.wi_1.weight").transposed(),
    }


_CROSS = "decoder.block.{}.layer.1"
_FINAL = Tensor("decoder.final_layer_norm.weight")


def _published(model_type: str, settings: Callable[[PublishedConfig], dict[str, Any]]) -> Published:
    return Published(
        model_types=(model_type,),
        settings=settings,
        tensors={
            "token_embedding/embeddings": Tensor("shared.weight").vocabulary(),
            **_stack("encoder", 1),
            **_stack("decoder", 2),
            **_attention("decoder/block_{}/cross_attention", f"{_CROSS}.EncDecAttention", _CROSS),
            "logits_head/kernel": Tensor("lm_head.weight").vocabulary().transposed(),
        },
        variants={
            ("gated", True): {**_gated("encoder", 1), **_gated("decoder", 2)},
            ("tied_head", True): {"decoder/final_norm/gamma": _FINAL.scaled("hidden_dim", -0.5)},
        },
        # A bias between decoder and encoder that no version computes.
        left_out=(r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",),
        tied={
            "shared.weight": (
                "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight",
            ),
            # A head may be tied that is not scaled.
            "lm_head.weight": ("shared.weight",),
        },
    )  # fmt: skip


T5 = Family(
    paper="Raffel et al. 2019, arXiv:1910.10683", sizes={}, published=_published("t5", _t5)
)
MT5 = Family(paper="Xue et al. 2020, arXiv:2010.11934", sizes={}, published=_published("mt5", _mt5))
