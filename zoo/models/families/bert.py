"""BERT: an encoder with learned positions, segments and a pooler on the first token."""

from typing import Any

from keras_transformer.zoo.models.families.family import Family, Size

RENAMES = ()


def _settings(num_layers: int, hidden_dim: int) -> dict[str, Any]:
    """The sizes of Turc et al. 2019, arXiv:1908.08962, table 1."""
    return dict(
        architecture="encoder", vocab_size=30_522, max_length=512, hidden_dim=hidden_dim,
        intermediate_dim=4 * hidden_dim, num_layers=num_layers, num_heads=hidden_dim // 64,
        num_segments=2,
    )  # fmt: skip


def pretraining_head_parameters(vocab_size: int, hidden_dim: int) -> int:
    """Parameters of BERT's two pre-training heads, which its published counts include.

    A dense layer with a norm, the bias of the tied logits, and next-sentence logits.
    """
    return hidden_dim * hidden_dim + hidden_dim + 2 * hidden_dim + vocab_size + 2 * hidden_dim + 2


BERT = Family(
    paper="Devlin et al. 2018, arXiv:1810.04805",
    sizes={
        "bert_tiny": Size(
            settings=_settings(2, 128), parameters=4_385_920, multiply_adds=58_736_640
        ),
        "bert_mini": Size(
            settings=_settings(4, 256), parameters=11_170_560, multiply_adds=436_273_152
        ),
        "bert_small": Size(
            settings=_settings(4, 512), parameters=28_763_648, multiply_adds=1_677_983_744
        ),
        "bert_medium": Size(
            settings=_settings(8, 512), parameters=41_373_184, multiply_adds=3_355_705_344
        ),
        "bert_base": Size(
            settings=_settings(12, 768), parameters=109_482_240, multiply_adds=11_174_215_680
        ),
    },
    renames=RENAMES,
)
