"""The original Transformer: an encoder-decoder with sinusoidal positions."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size


def _settings(num_layers: int, hidden_dim: int, num_heads: int, **kwargs) -> dict[str, Any]:
    """The paper's table 3, with one vocabulary of 37,000 pieces for both languages."""
    return dict(
        architecture="encoder-decoder", vocab_size=37_000, max_length=512, hidden_dim=hidden_dim,
        num_layers=num_layers, num_heads=num_heads, activation="relu", positions="sinusoidal",
        attention_dropout=0.0, epsilon=1e-6, scale_embeddings=True,
        **{"intermediate_dim": 4 * hidden_dim, **kwargs},
    )  # fmt: skip


TRANSFORMER = Family(
    paper="Vaswani et al. 2017, arXiv:1706.03762",
    sizes={
        "transformer_tiny": Size(
            settings=_settings(4, 128, 4, intermediate_dim=256), parameters=6_061_056,
            multiply_adds=824_311_808,
        ),
        "transformer_base": Size(
            settings=_settings(6, 512, 8), parameters=63_082_496, multiply_adds=8_363_966_464
        ),
        "transformer_big": Size(
            settings=_settings(6, 1024, 16, dropout=0.3), parameters=214_245_376,
            multiply_adds=28_002_222_080,
        ),
    },
)  # fmt: skip
