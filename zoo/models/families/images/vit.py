"""Vision Transformers: an encoder over patches of an image, with a class token."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    attention,
    dense,
    layer_norm,
)


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


def _published_settings(c: PublishedConfig) -> dict[str, Any]:
    side, patch = c.integer("image_size", 224), c.integer("patch_size", 16)
    c.expect("qkv_bias", True)
    # Of masked images, and of a pooler that heads of classes do not have.
    for key in ("encoder_stride", "pooler_output_size", "pooler_act"):
        c.get(key)
    sizes = {
        ours: c.integer(theirs) for ours, theirs in (
            ("hidden_dim", "hidden_size"), ("intermediate_dim", "intermediate_size"),
            ("num_layers", "num_hidden_layers"), ("num_heads", "num_attention_heads"),
        )
    }  # fmt: skip
    return dict(
        architecture="encoder", modality="image", max_length=1 + (side // patch) ** 2, **sizes,
        modality_settings={
            "height": side, "width": side, "channels": c.integer("num_channels", 3), "patch": patch,
            "class_tokens": 1, "crop": 1.0, "stretch": True, "method": "bilinear",
        },
        activation=c.choice("hidden_act", "gelu"), dropout=c.rate("hidden_dropout_prob", 0.0),
        attention_dropout=c.rate("attention_probs_dropout_prob", 0.0),
        epsilon=c.rate("layer_norm_eps", 1e-12), pre_norm=True, pooling="first", pooler="none",
    )  # fmt: skip


_OURS, _BLOCK = "encoder/block_{}", "encoder.layer.{}"
_SELF = f"{_BLOCK}.attention.attention"
_EMBEDDINGS = "embeddings.patch_embeddings.projection"
_PUBLISHED = Published(
    model_types=("vit",),
    settings=_published_settings,
    tensors={
        "patch_projection/kernel": Tensor(f"{_EMBEDDINGS}.weight").of_patches(),
        "patch_positions/bias": Tensor(f"{_EMBEDDINGS}.bias"),
        "patch_positions/token": Tensor("embeddings.cls_token").first(),
        "patch_positions/embeddings": Tensor("embeddings.position_embeddings").flat(),
        **layer_norm(f"{_OURS}/attention/norm", f"{_BLOCK}.layernorm_before"),
        **attention(
            f"{_OURS}/attention", f"{_SELF}.query", f"{_SELF}.key", f"{_SELF}.value",
            f"{_BLOCK}.attention.output.dense",
        ),
        **layer_norm(f"{_OURS}/feed_forward/norm", f"{_BLOCK}.layernorm_after"),
        **dense(f"{_OURS}/feed_forward/sublayer/up", f"{_BLOCK}.intermediate.dense"),
        **dense(f"{_OURS}/feed_forward/sublayer/down", f"{_BLOCK}.output.dense"),
        **layer_norm("encoder/final_norm", "layernorm"),
    },
    heads={"ViTForImageClassification": dense("head", "classifier")},
    left_out=(
        r"classifier\..*", r"pooler\..*", r"embeddings\.mask_token", r"decoder\..*",
    ),
    prefixes=("vit.",),
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
    published=_PUBLISHED,
)
