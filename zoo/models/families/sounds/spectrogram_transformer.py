"""Audio Spectrogram Transformers: an encoder over overlapping patches of a log-mel spectrogram."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size


def _settings(hidden_dim: int) -> dict[str, Any]:
    """One second at 16 kHz: 9 x 5 patches of 16 frames of 25 ms and 16 of 64 bands, which share 6.

    The paper's 128 bands are narrower than the frequencies of a frame are apart.
    """
    return dict(
        architecture="encoder", modality="audio", max_length=1 + 9 * 5,
        modality_settings={
            "rate": 16_000, "samples": 16_000, "frame": 400, "hop": 160, "mels": 64, "low": 20.0,
            "high": 0.0, "patch_frames": 16, "patch_mels": 16, "patch_overlap": 6,
            "class_tokens": 1,
        },
        hidden_dim=hidden_dim, intermediate_dim=4 * hidden_dim, num_layers=12,
        num_heads=hidden_dim // 64, dropout=0.0, attention_dropout=0.0, epsilon=1e-6,
        pre_norm=True, pooling="first", pooler="none",
    )  # fmt: skip


AST = Family(
    paper="Gong, Chung and Glass 2021, arXiv:2104.01778, of the sizes of DeiT",
    sizes={
        "ast_tiny": Size(
            settings=_settings(192), parameters=5_397_248, multiply_adds=256_198_656
        ),
        "ast_small": Size(
            settings=_settings(384), parameters=21_411_200, multiply_adds=1_000_771_584
        ),
    },
)
