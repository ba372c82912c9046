"""GPT-2: a decoder with pre-norm blocks, tanh GELU, learned positions and tied logits."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size


def _settings(
    num_layers: int, hidden_dim: int, num_heads: int, max_length: int
) -> dict[str, Any]:
    return dict(
        architecture="decoder", vocab_size=50_257, max_length=max_length, hidden_dim=hidden_dim,
        intermediate_dim=4 * hidden_dim, num_layers=num_layers, num_heads=num_heads,
        activation="gelu_tanh", pre_norm=True, epsilon=1e-5,
    )  # fmt: skip


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
)  # fmt: skip
