"""Vision Transformers: an encoder over patches of an image, with a class token."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size


def _settings(hidden_dim: int, *, side: int = 224, patch: int = 16) -> dict[str, Any]:
    """The sizes of Touvron et al. 2021, arXiv:2012.12877, table 1; all have 12 blocks."""
    return dict(
        architecture="encoder", modality="image", max_length=1 + (side // patch) ** 2,
        modality_settings={
            "height": side, "width": side, "channels": 3, "patch": patch, "class_tokens": 1,
            "crop": 1.0, "stretch": True, "method": "bilinear",
        },
        hidden_dim=hidden_dim, intermediate_dim=4 * hidden_dim, num_layers=12,
        num_heads=hidden_dim // 64, dropout=0.0, attention_dropout=0.0, epsilon=1e-6,
        pre_norm=True, pooling="first", pooler="none",
    )  # fmt: skip


VIT = Family(
    paper="Dosovitskiy et al. 2021, arXiv:2010.11929; Touvron et al. 2021, arXiv:2012.12877",
    sizes={
        "vit_tiny": Size(
            settings=_settings(192), parameters=5_524_416, multiply_adds=1_253_638_656
        ),
        "vit_small": Size(
            settings=_settings(384), parameters=21_665_664, multiply_adds=4_598_793_216
        ),
        "vit_base": Size(
            settings=_settings(768), parameters=85_798_656, multiply_adds=17_563_650_048
        ),
    },
)
