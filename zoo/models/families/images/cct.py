"""Compact Convolutional Transformers: convolutions in place of patches, and pooling by attention.

They learn from little data, and from small images.
"""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size


def _settings(
    num_layers: int, num_heads: int, hidden_dim: int, ratio: int, *, convolutions: int
) -> dict[str, Any]:
    """Sizes of section 3.4, for images of 32 x 32 pixels."""
    side = 32
    return dict(
        architecture="encoder", modality="image", max_length=(side // 2**convolutions) ** 2,
        modality_settings={
            "height": side, "width": side, "channels": 3, "patch": 1, "convolutions": convolutions,
            "class_tokens": 0, "crop": 1.0, "stretch": True, "method": "bilinear",
        },
        hidden_dim=hidden_dim, intermediate_dim=ratio * hidden_dim, num_layers=num_layers,
        num_heads=num_heads, dropout=0.0, attention_dropout=0.1, epsilon=1e-5, pre_norm=True,
        pooling="attention",
    )  # fmt: skip


CCT = Family(
    paper="Hassani et al. 2021, arXiv:2104.05704",
    sizes={
        "cct_2": Size(
            settings=_settings(2, 2, 128, 1, convolutions=2),
            parameters=283_329, multiply_adds=35_332_096,
        ),
        "cct_4": Size(
            settings=_settings(4, 2, 128, 1, convolutions=2),
            parameters=482_497, multiply_adds=50_012_160,
        ),
        "cct_6": Size(
            settings=_settings(6, 4, 256, 2, convolutions=1),
            parameters=3_236_097, multiply_adds=1_013_776_384,
        ),
        "cct_7": Size(
            settings=_settings(7, 4, 256, 2, convolutions=1),
            parameters=3_763_201, multiply_adds=1_181_548_544,
        ),
    },  # fmt: skip
)
