"""ELECTRA: BERT's encoder, trained to find replaced tokens."""

from typing import Any

from keras_transformer.zoo.models.families.encoders.bert import BODY, LEFT_OUT, published_settings
from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    dense,
    position_heads,
)


def _settings(c: PublishedConfig) -> dict[str, Any]:
    settings = published_settings(c)
    width = c.integer("embedding_size", 128)
    # The small one's is projected.
    narrow = {"embedding_dim": width} if width != settings["hidden_dim"] else {}
    return {**settings, **narrow, "pooler": "gelu"}


ELECTRA = Family(
    paper="Clark et al. 2020, arXiv:2003.10555",
    sizes={},
    published=Published(
        model_types=("electra",),
        settings=_settings,
        tensors={**BODY, **dense("embedding_projection", "embeddings_project")},
        heads={
            "ElectraForSequenceClassification": {
                **dense("pooler", "classifier.dense"), **dense("head", "classifier.out_proj"),
            },
            **position_heads("Electra"),
        },
        left_out=(
            *LEFT_OUT, r"discriminator_predictions\..*", r"generator_predictions\..*",
            r"generator_lm_head\..*",
        ),
        prefixes=("electra.",),
    ),
)  # fmt: skip
