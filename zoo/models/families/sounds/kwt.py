"""Keyword Transformers: an encoder over the frames of a log-mel spectrogram, with a class token."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size


def _settings(
    hidden_dim: int, num_layers: int, num_heads: int, *, patch_frames: int = 1,
    embedding_norm: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One second at 16 kHz: 98 frames of 30 ms, 10 ms from each other, in 40 mel bands."""
    return dict(
        architecture="encoder", modality="audio", max_length=1 + 98 // patch_frames,
        modality_settings={
            "rate": 16_000, "samples": 16_000, "frame": 480, "hop": 160, "mels": 40, "low": 20.0,
            "high": 0.0, "patch_frames": patch_frames, "class_tokens": 1,
        },
        hidden_dim=hidden_dim, intermediate_dim=4 * hidden_dim, num_layers=num_layers,
        num_heads=num_heads, dropout=0.0, attention_dropout=0.0, epsilon=1e-6, pre_norm=False,
        embedding_norm=embedding_norm, qkv_bias=False, pooling="first", pooler="none",
    )  # fmt: skip


KWT = Family(
    paper="Berg, O'Connor and Cruz 2021, arXiv:2104.00769, table 1",
    sizes={
        # For small devices: a vector for each 20 ms, and three blocks. Its embeddings have a norm,
        # since 8 bits hold the class token's small numbers badly beside those of frames.
        "kwt_tiny": Size(
            settings=_settings(64, 3, 2, patch_frames=2, embedding_norm=True),
            parameters=158_032, multiply_adds=8_588_800,
        ),
        "kwt_1": Size(settings=_settings(64, 12, 1), parameters=606_608, multiply_adds=73_700_352),
        "kwt_2": Size(
            settings=_settings(128, 12, 2), parameters=2_392_784, multiply_adds=264_185_856
        ),
        "kwt_3": Size(
            settings=_settings(192, 12, 3), parameters=5_358_608, multiply_adds=571_456_512
        ),
    },
)
