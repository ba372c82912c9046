"""Whisper: an encoder of log-mel frames, and a decoder of byte pairs."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    attention,
    computed,
    dense,
    layer_norm,
)

_BOTH = ("ffn_dim", "attention_heads")


def _sizes(
    hidden_dim: int, num_layers: int, num_heads: int, *, vocab_size: int, max_length: int,
    seconds: int,
) -> dict[str, Any]:  # fmt: skip
    """Windows of 16 kHz, with a frame of 25 ms each 10 ms in 80 mel bands."""
    return dict(
        architecture="encoder-decoder", modality="speech", vocab_size=vocab_size,
        modality_settings={
            "rate": 16_000, "samples": 16_000 * seconds, "frame": 400, "hop": 160, "mels": 80,
        },
        max_length=max_length, hidden_dim=hidden_dim, intermediate_dim=4 * hidden_dim,
        num_layers=num_layers, num_heads=num_heads, epsilon=1e-5, pre_norm=True,
        positions="learned", dropout=0.0, attention_dropout=0.0,
    )  # fmt: skip


def _settings(c: PublishedConfig) -> dict[str, Any]:
    width, heads = (c.integer(f"encoder_{name}") for name in _BOTH)
    for name, value in zip(_BOTH, (width, heads), strict=True):
        c.expect(f"decoder_{name}", value)
    for name, value in (
        ("is_encoder_decoder", True), ("scale_embedding", False), ("tie_word_embeddings", True),
        ("use_weighted_layer_sum", False), ("apply_spec_augment", False),
    ):  # fmt: skip
        c.expect(name, value)
    # What training alone has, and the size of a head of classes.
    for key in (
        "activation_dropout", "classifier_proj_size", "decoder_layerdrop", "encoder_layerdrop",
        "mask_feature_length", "mask_feature_min_masks", "mask_feature_prob", "mask_time_length",
        "mask_time_min_masks", "mask_time_prob", "forced_decoder_ids", "median_filter_width",
        "num_hidden_layers",
    ):  # fmt: skip
        c.get(key)
    # Two frames of 10 ms each are a position.
    positions = c.integer("max_source_positions", 1500)
    return dict(
        architecture="encoder-decoder", modality="speech",
        modality_settings={
            "rate": 16_000, "samples": 320 * positions, "frame": 400, "hop": 160,
            "mels": c.integer("num_mel_bins", 80),
        },
        vocab_size=c.integer("vocab_size"), max_length=c.integer("max_target_positions", 448),
        hidden_dim=c.integer("d_model"), intermediate_dim=width,
        **c.depths("encoder_layers", "decoder_layers"), num_heads=heads,
        activation=c.choice("activation_function", "gelu"), epsilon=1e-5, pre_norm=True,
        positions="learned", dropout=c.rate("dropout", 0.0),
        attention_dropout=c.rate("attention_dropout", 0.0),
    )  # fmt: skip


def _attention(ours: str, theirs: str) -> dict[str, Tensor]:
    return {
        **attention(
            f"{ours}", *(f"{theirs}.{name}_proj" for name in ("q", "k", "v", "out"))
        ),
        # A bias of keys adds the same to all scores of a query.
        f"{ours}/sublayer/key/bias": computed("zeros"),
        **layer_norm(f"{ours}/norm", f"{theirs}_layer_norm"),
    }  # fmt: skip


def _stack(name: str) -> dict[str, Tensor]:
    ours, theirs = f"{name}/block_{{}}", f"{name}.layers.{{}}"
    return {
        **_attention(f"{ours}/attention", f"{theirs}.self_attn"),
        **dense(f"{ours}/feed_forward/sublayer/up", f"{theirs}.fc1"),
        **dense(f"{ours}/feed_forward/sublayer/down", f"{theirs}.fc2"),
        **layer_norm(f"{ours}/feed_forward/norm", f"{theirs}.final_layer_norm"),
        **layer_norm(f"{name}/final_norm", f"{name}.layer_norm"),
    }


def _convolution(number: int) -> dict[str, Tensor]:
    ours, theirs = f"convolution_{number}/projection", f"encoder.conv{number + 1}"
    return {
        f"{ours}/kernel": Tensor(f"{theirs}.weight").of_frames(),
        f"{ours}/bias": Tensor(f"{theirs}.bias"),
    }


WHISPER = Family(
    paper="Radford et al. 2022, arXiv:2212.04356",
    sizes={
        "whisper_tiny": Size(
            settings=_sizes(384, 4, 6, vocab_size=51_865, max_length=448, seconds=30),
            parameters=37_765_248, multiply_adds=24_484_724_736,
        ),
        # For commands and other short sounds, from scratch.
        "whisper_micro": Size(
            settings=_sizes(128, 2, 4, vocab_size=8000, max_length=64, seconds=4),
            parameters=2_064_128, multiply_adds=345_636_864,
        ),
    },
    published=Published(
        model_types=("whisper",),
        settings=_settings,
        tensors={
            "token_embedding/embeddings": Tensor("decoder.embed_tokens.weight").vocabulary(),
            "position_embedding/embeddings": Tensor("decoder.embed_positions.weight"),
            "source_position_embedding/embeddings": Tensor("encoder.embed_positions.weight"),
            **_convolution(0),
            **_convolution(1),
            **_stack("encoder"),
            **_stack("decoder"),
            **_attention("decoder/block_{}/cross_attention", "decoder.layers.{}.encoder_attn"),
        },
        prefixes=("model.",),
        tied={"decoder.embed_tokens.weight": ("proj_out.weight",)},
    ),
)
